/**
 * A text by its code points, as tokenizers and callers in Python count. JavaScript counts UTF-16 units, of which a
 * code point beyond U+FFFF takes two.
 */
export class CodePoints {
  readonly #text: string;
  /** Where each code point begins, and the end; undefined where every one is a single unit. */
  readonly #places: Uint32Array | undefined;

  constructor(text: string) {
    this.#text = text;
    this.#places = HAS_PAIRS.test(text) ? placesOf(text) : undefined;
  }

  static count(text: string): number {
    return HAS_PAIRS.test(text) ? placesOf(text).length - 1 : text.length;
  }

  /** The text between two code points. What lies beyond its end is left out. */
  slice(start: number, end: number): string {
    const places = this.#places;
    if (places === undefined) return this.#text.slice(start, end);
    const last = places.length - 1;
    const [from, to] = [Math.min(start, last), Math.min(end, last)];
    return this.#text.slice(places[from], places[to]);
  }
}

const HAS_PAIRS = /[\ud800-\udbff][\udc00-\udfff]/;

function placesOf(text: string): Uint32Array {
  const places = new Uint32Array(text.length + 1);
  let count = 0;
  for (let at = 0; at < text.length; count += 1) {
    places[count] = at;
    at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  }
  places[count] = text.length;
  return places.subarray(0, count + 1);
}
