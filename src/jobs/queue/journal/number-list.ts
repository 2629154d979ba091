const SMALLEST = 64;

/** Numbers by their place, eight bytes each. Places that were never set are 0. */
export class NumberList {
  #values = new Float64Array(SMALLEST);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  at(place: number): number {
    return this.#values[place] ?? 0;
  }

  set(place: number, value: number): void {
    if (place >= this.#values.length) {
      const larger = new Float64Array(Math.max(place + 1, this.#values.length * 2));
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[place] = value;
    this.#length = Math.max(this.#length, place + 1);
  }

  push(value: number): void {
    this.set(this.#length, value);
  }
}
