type Event = 'opened' | 'recycled' | 'broken' | 'timeouts';

/** Counts what happens in a pool. */
export class PoolStatistics {
  readonly #counts = { opened: 0, recycled: 0, broken: 0, checkouts: 0, timeouts: 0 };
  #waitMsSum = 0;
  #waitMsMax = 0;

  count(event: Event): void {
    this.#counts[event] += 1;
  }

  /** A connection was lent after this wait. */
  lent(waitedMs: number): void {
    this.#counts.checkouts += 1;
    this.#waitMsSum += waitedMs;
    this.#waitMsMax = Math.max(this.#waitMsMax, waitedMs);
  }

  get figures() {
    const { checkouts } = this.#counts;
    return {
      ...this.#counts,
      waitSeconds: this.#waitMsSum / 1000,
      waitMsMean: checkouts === 0 ? 0 : this.#waitMsSum / checkouts,
      waitMsMax: this.#waitMsMax,
    };
  }
}
