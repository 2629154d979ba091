/** A batch that was sent to a worker, or other work that keeps it busy. */
export interface AssignedBatch {
  readonly model: string;
  readonly sentAtMs: number;
  /** Expected run time in ms; infinite while nothing was measured. */
  readonly expectedMs: number;
  /** Another one may wait behind it if it ends within this. */
  readonly shortMs: number;
  /** Of a bundle: most tokens of one of its batches. */
  readonly batchTokens: number | undefined;
  isRecalled: boolean;
}

/**
 * When a worker can start its next batch: `now`; `prefetch`: right after the running one, queued in its
 * pipe; or `none`: it can take none.
 */
export type Capacity = 'now' | 'prefetch' | 'none';

/**
 * A batch is prefetched only behind one that ends within this. A batch in the pipe cannot be taken back, neither
 * for a caller who leaves nor for one whose turn comes first, so it must not stay there for long.
 */
const SHORT_BATCH_MS = 10;

/**
 * The batches that a worker holds: it runs the first; behind a short one a second waits in its pipe. Without
 * that a worker idles between two batches until the main process has been scheduled, which counts for
 * models whose batches take a few milliseconds. Times are `performance.now()`.
 */
export class BatchPrefetch {
  readonly #batches: AssignedBatch[] = [];
  readonly #drainWaiters: (() => void)[] = [];
  #freeSinceMs = 0;
  #wasLost = false;

  /** The batch that runs now. */
  get running(): AssignedBatch | undefined {
    return this.#batches[0];
  }

  get capacity(): Capacity {
    const [running] = this.#batches;
    if (running === undefined) return 'now';
    const { expectedMs, shortMs } = running;
    if (this.#batches.length > 1 || expectedMs > shortMs) return 'none';
    // It takes longer than expected, so its end is unknown.
    return performance.now() - this.#startedMs(running) > shortMs ? 'none' : 'prefetch';
  }

  /** @param of of a bundle, behind which no caller waits for long */
  assign(
    model: string,
    expectedMs: number,
    of: { readonly shortMs?: number | undefined; readonly batchTokens?: number | undefined } = {},
  ): AssignedBatch {
    const { shortMs = SHORT_BATCH_MS, batchTokens } = of;
    const sentAtMs = performance.now();
    const batch = { model, expectedMs, shortMs, batchTokens, sentAtMs, isRecalled: false };
    this.#batches.push(batch);
    return batch;
  }

  /** How long a caller waits who has the bundles recalled: most tokens of a batch; undefined if there is nothing to recall. */
  get recallTokens(): number | undefined {
    return this.#batches.find(isRecallable)?.batchTokens;
  }

  /** Whether bundles were recalled that have not come back yet. */
  get isRecalled(): boolean {
    return this.#batches.some(({ isRecalled }) => isRecalled);
  }

  recalled(): void {
    for (const batch of this.#batches) batch.isRecalled ||= isRecallable(batch);
  }

  /**
   * Expected time until all that was sent has run, in ms. A bundle that can be recalled, and what nothing is expected
   * of, count as nothing.
   */
  get leftMs(): number {
    const now = performance.now();
    return this.#batches.reduce((sum, batch, at) => {
      if (batch.batchTokens !== undefined || !Number.isFinite(batch.expectedMs)) return sum;
      const ranMs = at === 0 ? now - this.#startedMs(batch) : 0;
      return sum + Math.max(0, batch.expectedMs - ranMs);
    }, 0);
  }

  /** The batch was answered or lost. @returns ms since the worker was free for it */
  finish(batch: AssignedBatch): number {
    const tookMs = performance.now() - this.#startedMs(batch);
    this.#batches.splice(this.#batches.indexOf(batch), 1);
    this.#freeSinceMs = performance.now();
    if (this.#batches.length === 0) for (const wake of this.#drainWaiters.splice(0)) wake();
    return tookMs;
  }

  /** Settles when every batch has been answered or lost. */
  drained(): Promise<void> {
    if (this.#batches.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#drainWaiters.push(resolve));
  }

  workerEnded(): void {
    this.#wasLost = this.#batches.length > 0;
  }

  /** Whether the worker ended while it had work. */
  get wasLost(): boolean {
    return this.#wasLost;
  }

  #startedMs({ sentAtMs }: AssignedBatch): number {
    return Math.max(sentAtMs, this.#freeSinceMs);
  }
}

function isRecallable({ batchTokens, isRecalled }: AssignedBatch): boolean {
  return batchTokens !== undefined && !isRecalled;
}
