/** True at most once in `ms`. */
export class Throttle {
  readonly #ms: number;
  #atMs = Number.NEGATIVE_INFINITY;

  constructor(ms: number) {
    this.#ms = ms;
  }

  isDue(): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#atMs < this.#ms) return false;
    this.#atMs = nowMs;
    return true;
  }
}
