import { odd } from '../../calls/fields.js';

interface Wanted {
  readonly truncate?: boolean | null;
  readonly truncation_direction?: string;
}

/**
 * Refuses an answer to a text that was cut though the caller said not to, or on the other side than it said.
 * Without a word of the caller long texts are cut, as TEI does by default.
 *
 * @param truncated for each input: whether it was cut.
 * @param maxTokens of the model.
 */
export function checkTruncation(
  { truncate, truncation_direction: direction }: Wanted,
  truncated: readonly boolean[],
  maxTokens: number,
): void {
  const index = truncated.indexOf(true);
  if (index < 0) return;
  const which = truncated.length === 1 ? 'the input' : `input ${index}`;
  if (truncate === false) {
    throw odd(`${which} has more than the ${maxTokens} tokens that the model takes; set truncate`);
  }
  if (direction?.toLowerCase() === 'left') {
    const message = `${which} has more than ${maxTokens} tokens, and is cut on the side that the model’s files name; truncation_direction Left is not offered`;
    throw odd(message);
  }
}
