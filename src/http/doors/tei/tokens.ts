import type { TokenizedText } from '../../../inference/workers/protocol.js';

/** One token as TEI shows it; `start` and `stop` count bytes of the text in UTF-8. */
export interface TeiToken {
  readonly id: number;
  readonly text: string;
  readonly special: boolean;
  readonly start: number | null;
  readonly stop: number | null;
}

/** Tokens of one text as TEI shows them, one after another: a text may have as many as an answer. */
export function* teiTokens(
  text: string,
  { ids, tokens, offsets }: Pick<TokenizedText, 'ids' | 'tokens' | 'offsets'>,
  withSpecial: boolean,
): Generator<TeiToken, void> {
  const [from, to] = [new Cursor(text), new Cursor(text)];
  for (const [index, id] of ids.entries()) {
    const [start, stop] = [offsets[2 * index] ?? 0, offsets[2 * index + 1] ?? 0];
    if (start === 0 && stop === 0) {
      // Special tokens stand for no part of the text.
      if (!withSpecial) continue;
      yield { id, text: tokens[index] ?? '', special: true, start: null, stop: null };
      continue;
    }
    from.moveTo(start);
    to.moveTo(stop);
    const part = text.slice(from.unit, to.unit);
    yield { id, text: part, special: false, start: from.bytes, stop: to.bytes };
  }
}

/** A place in a text, in code points, in UTF-16 units and in bytes of UTF-8. Tokens lie side by side, so it moves a few at a time. */
class Cursor {
  readonly #text: string;
  #point = 0;
  unit = 0;
  bytes = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** To a code point, or to the end of a text that has fewer. */
  moveTo(point: number): void {
    while (this.#point < point && this.unit < this.#text.length) this.#step(this.unit, 1);
    while (this.#point > point) {
      const before = this.#text.codePointAt(this.unit - 2) ?? 0;
      this.#step(before > 0xffff ? this.unit - 2 : this.unit - 1, -1);
    }
  }

  /** Over the code point that begins there. */
  #step(begin: number, sign: 1 | -1): void {
    const code = this.#text.codePointAt(begin) ?? 0;
    this.#point += sign;
    this.unit += sign * (code > 0xffff ? 2 : 1);
    this.bytes += sign * bytesOf(code);
  }
}

/** In UTF-8; half a surrogate pair is written as U+FFFD. */
function bytesOf(code: number): number {
  if (code < 0x80) return 1;
  if (code < 0x800) return 2;
  return code < 0x10000 ? 3 : 4;
}
