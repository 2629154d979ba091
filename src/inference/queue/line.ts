/** A position in a line; `item` is cleared when it leaves, so that it can be collected. */
export interface Place<T> {
  item: T | undefined;
}

/** Shorter lines are not compacted. */
const LEAST_TO_COMPACT = 32;

/**
 * A FIFO queue from whose middle items may leave in O(1), amortised: their places are skipped, and
 * compacted away once they are the majority.
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

  /** Puts an item back to the front. */
  unshift(place: Place<T>): void {
    this.#count += 1;
    if (this.#head > 0) {
      this.#head -= 1;
      this.#places[this.#head] = place;
    } else this.#places.unshift(place);
  }

  /** Call once for each place whose item was cleared. */
  left(): void {
    this.#count -= 1;
    if (this.#places.length < LEAST_TO_COMPACT || this.#count * 2 > this.#places.length) return;
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

  /** Appends items in order until the list has `most` elements. */
  fill(list: T[], most: number): void {
    for (let at = this.#head; at < this.#places.length && list.length < most; at += 1) {
      const item = this.#places[at]?.item;
      if (item !== undefined) list.push(item);
    }
  }
}
