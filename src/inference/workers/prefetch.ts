/** A batch that was given to a worker. */
export interface GivenBatch {
  readonly model: string;
  readonly atMs: number;
  /** How long it is expected to take; infinite where nobody knows yet. */
  readonly expectedMs: number;
}

/** Whether a worker takes a batch: `now` it has none; `next`: behind the one that it works on. */
export type Takes = 'now' | 'next' | 'nothing';

/**
 * Longest batch behind which another one waits in the pipe. What is given cannot be taken back, for who leaves or who
 * comes and would have its turn first, so that has to be over at once.
 */
const SHORT_MS = 10;

/**
 * The batches that a worker has: it works on the first. While that is a short one a second waits in the
 * worker's pipe, so that the worker need not wait, between two batches, until the main process has had
 * its turn on a busy machine; with models whose batches take a few milliseconds that is a part of their time
 * that counts. By `performance.now()`.
 */
export class GivenBatches {
  readonly #batches: GivenBatch[] = [];
  readonly #waiters: (() => void)[] = [];
  #freeSinceMs = 0;
  /** The one that the worker ended with. */
  #lost: GivenBatch | undefined;

  /** The one that is worked on now. */
  get first(): GivenBatch | undefined {
    return this.#batches[0];
  }

  get takes(): Takes {
    const [first] = this.#batches;
    if (first === undefined) return 'now';
    if (this.#batches.length > 1 || first.expectedMs > SHORT_MS) return 'nothing';
    // One that takes longer than it should: nobody knows how long.
    return performance.now() - this.#beganMs(first) > SHORT_MS ? 'nothing' : 'next';
  }

  give(model: string, expectedMs: number): GivenBatch {
    const batch = { model, expectedMs, atMs: performance.now() };
    this.#batches.push(batch);
    return batch;
  }

  /** It was answered, or lost. @returns ms from when the worker was free for it */
  end(batch: GivenBatch): number {
    const tookMs = performance.now() - this.#beganMs(batch);
    this.#batches.splice(this.#batches.indexOf(batch), 1);
    this.#freeSinceMs = performance.now();
    if (this.#batches.length === 0) for (const wake of this.#waiters.splice(0)) wake();
    return tookMs;
  }

  /** Settles when all that were given have been answered or lost. */
  ended(): Promise<void> {
    if (this.#batches.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** The worker has ended: with which batch is told from now on by {@link wasBegun}. */
  lose(): void {
    this.#lost = this.#batches[0];
  }

  /** Whether the worker may have ended because of it; those behind it were not looked at. */
  wasBegun(batch: GivenBatch): boolean {
    return this.#lost === undefined || this.#lost === batch;
  }

  #beganMs({ atMs }: GivenBatch): number {
    return Math.max(atMs, this.#freeSinceMs);
  }
}
