import type { Side } from '../../../models/intake/reading/room.js';
import { odd } from '../../calls/fields.js';

interface Wanted {
  readonly truncate?: boolean | null;
  readonly truncation_direction?: 'Left' | 'Right' | 'left' | 'right';
}

/** The side that a caller wants long texts cut at; undefined: the one that the model's files name. */
export function sideWanted({ truncation_direction: direction }: Wanted): Side | undefined {
  if (direction === undefined) return undefined;
  return direction === 'Left' || direction === 'left' ? 'left' : 'right';
}

/**
 * Refuses an answer to a text that was cut though the caller said not to. Without a word of the caller long texts are
 * cut, as TEI does by default.
 *
 * @param truncated for each input: whether it was cut.
 * @param maxTokens of the model.
 */
export function checkTruncation(
  { truncate }: Wanted,
  truncated: readonly boolean[],
  maxTokens: number,
): void {
  const index = truncated.indexOf(true);
  if (index < 0 || truncate !== false) return;
  const which = truncated.length === 1 ? 'the input' : `input ${index}`;
  throw odd(`${which} has more than the ${maxTokens} tokens that the model takes; set truncate`);
}
