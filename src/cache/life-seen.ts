/** What was left of the lives of the results that a tier answered with: whether its TTL is what it should be. */
export class LifeSeen {
  #leastMs = Infinity;
  #mostMs = -Infinity;

  see(leftMs: number): void {
    this.#leastMs = Math.min(this.#leastMs, leftMs);
    this.#mostMs = Math.max(this.#mostMs, leftMs);
  }

  /** Undefined before the first hit. */
  get range(): LifeRange | undefined {
    if (this.#leastMs > this.#mostMs) return undefined;
    return { leastMs: this.#leastMs, mostMs: this.#mostMs };
  }
}

export interface LifeRange {
  readonly leastMs: number;
  readonly mostMs: number;
}
