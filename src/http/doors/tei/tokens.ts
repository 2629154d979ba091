import type { Tokenized } from '../../../contract/tokenize.js';

/** One token as TEI shows it; `start` and `stop` count bytes of the text in UTF-8. */
export interface TeiToken {
  readonly id: number;
  readonly text: string;
  readonly special: boolean;
  readonly start: number | null;
  readonly stop: number | null;
}

/** Tokens of one text as TEI shows them. */
export function teiTokens(
  text: string,
  { ids, tokens, offsets }: Tokenized['results'][number],
  withSpecial: boolean,
): readonly TeiToken[] {
  const bytes = byteOffsets(text);
  const characters = [...text];
  return ids.flatMap((id, index): TeiToken[] => {
    const [start = 0, stop = 0] = offsets[index] ?? [];
    // Special tokens stand for no part of the text.
    if (start === 0 && stop === 0) {
      const of = { id, text: tokens[index] ?? '', special: true, start: null, stop: null };
      return withSpecial ? [of] : [];
    }
    const part = characters.slice(start, stop).join('');
    return [{ id, text: part, special: false, start: bytes[start] ?? 0, stop: bytes[stop] ?? 0 }];
  });
}

/** For each code point, and for the end: the bytes before it. */
function byteOffsets(text: string): readonly number[] {
  const offsets = [0];
  let bytes = 0;
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    offsets.push(bytes);
  }
  return offsets;
}
