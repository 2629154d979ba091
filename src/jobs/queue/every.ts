/** Says once in a while that it is time. */
export class Every {
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
