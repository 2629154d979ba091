/** How long a worker may take for one request. */
export interface TimeLimit {
  /** CPU time, in ms of one thread, that the request may use. */
  readonly budgetMs: number;
  /** Wall time after which it ends in any case: on a busy machine a worker waits for its CPU. */
  readonly hardMs: number;
}

/** Reading memory, releasing a model and collecting garbage take milliseconds; swapping may make them slow. */
const REPLY_TIMEOUT_MS = 5000;
/** A starved worker may take this many times as long, if it gets some CPU time. */
const STARVED_FACTOR = 4;

/** The limit of a message that runs no model. */
export function replyLimit(timeoutMs = REPLY_TIMEOUT_MS): TimeLimit {
  return { budgetMs: timeoutMs, hardMs: STARVED_FACTOR * timeoutMs };
}

/** What is seen of a worker that has not answered yet. */
export interface Progress {
  /** Wall time since the worker was free for the request. */
  readonly elapsedMs: number;
  /** CPU time of the worker's process since it was started; undefined where the system does not tell. */
  readonly cpuMs: number | undefined;
  /** Private bytes of the process; undefined where the system does not tell. */
  readonly privateBytes: number | undefined;
}

/**
 * `overran`: it used its budget and did not answer. `stalled`: it used little or no CPU, because it is stopped,
 * deadlocked or starved; the request is not to blame. `outgrew`: it takes more memory than there may be.
 */
export type Overdue = 'overran' | 'stalled' | 'outgrew';

const OVERDUE = {
  overran: 'took too long',
  stalled: 'did not react',
  outgrew: 'took too much memory',
} as const;

/** What is said of a worker that is killed for it. */
export function wordsOf(overdue: Overdue, request: string, elapsedMs: number): string {
  return `${OVERDUE[overdue]}: "${request}" for ${Math.round(elapsedMs)} ms`;
}

export interface WatchOptions {
  readonly limit: TimeLimit;
  /** Wall time without CPU after which the worker has stalled. One that waits for a slow disk uses some. */
  readonly stalledMs: number;
  /** Threads that may use CPU at once: n of them use up the budget n times as fast. */
  readonly threads: number;
  /** Private bytes that the process may have. */
  readonly mostBytes: number;
}

/** Memory may grow by a gigabyte a second. */
const LONGEST_PAUSE_MS = 500;
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
    const { limit, stalledMs } = this.#options;
    return Math.min(limit.budgetMs / 2, limit.hardMs, stalledMs / 2, LONGEST_PAUSE_MS);
  }

  /**
   * Decides what becomes of a request that has no answer yet.
   *
   * 0. It has more memory than it may: outgrew.
   * 1. It has used its budget: overran.
   * 2. It has used no CPU for `stalledMs`: stalled.
   * 3. The hard limit has passed: overran if it has used half of what was left of its budget, else stalled.
   * 4. Otherwise look again when one of these may hold.
   *
   * @returns ms until the next look, or the verdict.
   */
  look(now: Progress): Overdue | number {
    this.#first ??= now;
    this.#worked ??= now;
    const { limit, stalledMs, threads, mostBytes } = this.#options;
    if (now.privateBytes !== undefined && now.privateBytes > mostBytes) return 'outgrew'; // 0
    const { budgetMs, hardMs } = limit;
    const leftMs = budgetMs - this.#first.elapsedMs;
    const usedMs = usedBetween(this.#first, now) / threads;
    if (usedMs >= leftMs) return 'overran'; // 1
    if (usedBetween(this.#worked, now) >= SOME_WORK_MS) this.#worked = now;
    const idleMs = now.elapsedMs - this.#worked.elapsedMs;
    if (idleMs >= stalledMs) return 'stalled'; // 2
    if (now.elapsedMs >= hardMs) return usedMs >= leftMs / 2 ? 'overran' : 'stalled'; // 3
    const pauseMs = Math.min(leftMs - usedMs, stalledMs - idleMs, LONGEST_PAUSE_MS);
    return Math.min(Math.max(pauseMs, LEAST_PAUSE_MS), hardMs - now.elapsedMs); // 4
  }
}

/** CPU time of all threads; wall time where the system does not tell. */
function usedBetween(from: Progress, to: Progress): number {
  if (from.cpuMs === undefined || to.cpuMs === undefined) return to.elapsedMs - from.elapsedMs;
  return Math.max(to.cpuMs - from.cpuMs, 0);
}
