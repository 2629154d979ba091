/** Range of the remaining lifetime of results when they were read: shows whether a tier honours its TTL. */
export class ObservedTtl {
  #leastMs = Infinity;
  #mostMs = -Infinity;

  add(leftMs: number): void {
    this.#leastMs = Math.min(this.#leastMs, leftMs);
    this.#mostMs = Math.max(this.#mostMs, leftMs);
  }

  /** Undefined before the first hit. */
  get range(): TtlRange | undefined {
    if (this.#leastMs > this.#mostMs) return undefined;
    return { leastMs: this.#leastMs, mostMs: this.#mostMs };
  }
}

export interface TtlRange {
  readonly leastMs: number;
  readonly mostMs: number;
}
