/** One thing in a line; `item` is undefined once it has left, so that nothing of it is kept. */
export interface Place<T> {
  item: T | undefined;
}

/** Below this many places a line is not worth tidying. */
const SMALL = 32;

/**
 * First in, first out, where anyone may leave from the middle at no cost: places of those who left
 * are passed over, and cleared away once they are the most of the line (O(1), amortised).
 */
export class Line<T> {
  #places: Place<T>[] = [];
  #head = 0;
  #count = 0;

  get size(): number {
    return this.#count;
  }

  push(place: Place<T>): void {
    this.#places.push(place);
    this.#count += 1;
  }

  /** Back to the front: for one that was taken out and could not go. */
  unshift(place: Place<T>): void {
    this.#count += 1;
    if (this.#head > 0) {
      this.#head -= 1;
      this.#places[this.#head] = place;
    } else this.#places.unshift(place);
  }

  /** To be called once for each place whose item was cleared. */
  left(): void {
    this.#count -= 1;
    if (this.#places.length < SMALL || this.#count * 2 > this.#places.length) return;
    this.#places = this.#places.slice(this.#head).filter(({ item }) => item !== undefined);
    this.#head = 0;
  }

  first(): T | undefined {
    for (; this.#head < this.#places.length; this.#head += 1) {
      const item = this.#places[this.#head]?.item;
      if (item !== undefined) return item;
    }
    return undefined;
  }

  /** Puts those who wait into the list, first come first, until it has so many. */
  fill(list: T[], most: number): void {
    for (let at = this.#head; at < this.#places.length && list.length < most; at += 1) {
      const item = this.#places[at]?.item;
      if (item !== undefined) list.push(item);
    }
  }
}
