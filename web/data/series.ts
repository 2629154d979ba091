/** A ring buffer of readings: its memory is allocated once, and the oldest reading goes when it is full. */
export class Series {
  readonly #columns: readonly Float64Array[];
  readonly #capacity: number;
  #count = 0;

  /** @param width figures in one reading; the first is its time. */
  constructor(capacity: number, width: number) {
    this.#capacity = capacity;
    this.#columns = Array.from({ length: width }, () => new Float64Array(capacity));
  }

  get length(): number {
    return Math.min(this.#count, this.#capacity);
  }

  /** Time of the newest reading; 0 before the first. */
  get lastTime(): number {
    return this.length === 0 ? 0 : this.at(this.length - 1, 0);
  }

  /** Readings arrive in order of time; one that is not newer than the last is ignored. */
  push(figures: readonly number[]): void {
    if ((figures[0] ?? 0) <= this.lastTime) return;
    const place = this.#count % this.#capacity;
    for (const [index, column] of this.#columns.entries()) column[place] = figures[index] ?? 0;
    this.#count += 1;
  }

  /** A figure of a reading; index 0 is the oldest. */
  at(index: number, column: number): number {
    const oldest = this.#count - this.length;
    return this.#columns[column]?.[(oldest + index) % this.#capacity] ?? 0;
  }

  /** Index of the first reading at or after this time. */
  indexFrom(time: number): number {
    let [low, high] = [0, this.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.at(middle, 0) < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  clear(): void {
    this.#count = 0;
  }
}
