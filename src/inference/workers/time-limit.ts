/** How long a worker may take for one request. */
export interface TimeLimit {
  /** CPU time, in ms of one thread, that the request may use. */
  readonly budgetMs: number;
  /** Wall time after which it ends in any case: on a busy machine a worker waits for its CPU. */
  readonly hardMs: number;
}

/** What is seen of a worker that has not answered yet. */
export interface Progress {
  /** Wall time since the worker was free for the request. */
  readonly elapsedMs: number;
  /** CPU time of the worker's process since it was started; undefined where the system does not tell. */
  readonly cpuMs: number | undefined;
}

/**
 * `overran`: it used its budget and did not answer. `silent`: it used no CPU, so it is stopped or deadlocked, and
 * the request is not to blame.
 */
export type Overdue = 'overran' | 'silent';

export interface WatchOptions {
  readonly limit: TimeLimit;
  /** Wall time without CPU after which the worker is silent. One that waits for a slow disk uses some. */
  readonly silentMs: number;
  /** Threads that may use CPU at once: n of them use up the budget n times as fast. */
  readonly threads: number;
}

/** CPU time is counted in steps of 10 ms: what grows by one step may be rounding. */
const SOME_WORK_MS = 20;
const LEAST_PAUSE_MS = 50;

/**
 * Watches one request that takes long. The CPU time at its start is not read, as that would cost every request
 * a file: what was used before the first look counts as used.
 */
export class TimeLimitWatch {
  readonly #options: WatchOptions;
  #first: Progress | undefined;
  /** The last look by which the process had worked. */
  #worked: Progress | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** Wall time until the first look. */
  get firstLookMs(): number {
    const { limit, silentMs } = this.#options;
    return Math.min(limit.budgetMs / 2, limit.hardMs, silentMs / 2);
  }

  /**
   * Decides what becomes of a request that has no answer yet.
   *
   * 1. It has used its budget: overran.
   * 2. It has used no CPU for `silentMs`: silent.
   * 3. The hard limit has passed: overran, or silent if it has used no CPU since the first look.
   * 4. Otherwise look again when one of these may hold.
   *
   * @returns ms until the next look, or the verdict.
   */
  look(now: Progress): Overdue | number {
    this.#first ??= now;
    this.#worked ??= now;
    const { limit, silentMs, threads } = this.#options;
    const { budgetMs, hardMs } = limit;
    const usedMs = this.#first.elapsedMs + usedBetween(this.#first, now) / threads;
    if (usedMs >= budgetMs) return 'overran'; // 1
    if (usedBetween(this.#worked, now) >= SOME_WORK_MS) this.#worked = now;
    const idleMs = now.elapsedMs - this.#worked.elapsedMs;
    if (idleMs >= silentMs) return 'silent'; // 2
    if (now.elapsedMs >= hardMs) {
      return usedBetween(this.#first, now) < SOME_WORK_MS ? 'silent' : 'overran'; // 3
    }
    const pauseMs = Math.min(budgetMs - usedMs, silentMs - idleMs, silentMs / 2);
    return Math.min(Math.max(pauseMs, LEAST_PAUSE_MS), hardMs - now.elapsedMs); // 4
  }
}

/** CPU time of all threads; wall time where the system does not tell. */
function usedBetween(from: Progress, to: Progress): number {
  if (from.cpuMs === undefined || to.cpuMs === undefined) return to.elapsedMs - from.elapsedMs;
  return Math.max(to.cpuMs - from.cpuMs, 0);
}
