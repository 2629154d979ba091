import {
  type BatchLimits,
  type BundleLimits,
  type Dispatch,
  plan,
  type WorkerView,
} from './scheduler.js';
import { type WaitingRow, WaitingRows } from './waiting-rows.js';

/** A row of a caller who waits for it, or of a job, which nobody waits for. */
export interface ClassedRow extends WaitingRow {
  readonly isJob: boolean;
}

/** What decides between callers and jobs, beside the rows that wait. */
export interface Moment {
  readonly nowMs: number;
  /** Workers that are ready, busy ones among them. */
  readonly workers: number;
  /** Batches of jobs that run now. */
  readonly jobBatches: number;
  readonly isHeld: (model: string) => boolean;
  /** Most characters of a batch of that model which takes no longer than {@link SHORT_BATCH_MS}. */
  readonly shortSize: (model: string) => number;
  /** Most characters of that model which run within {@link BUNDLE_MS}; infinite before its first batch. */
  readonly bundleSize: (model: string) => number;
}

/** Callers count as there for this long after the last one came. */
const PRESENCE_MS = 1000;

/** A caller who finds every worker busy with a job waits about half of this. */
export const SHORT_BATCH_MS = 10;

/**
 * While no caller is there, so much work goes to a worker in one message, and as much waits behind it in its pipe. A message costs the
 * main process about a tenth of what a text of a small model costs its worker. A caller who comes after a while does not wait for it: both
 * bundles are recalled, and the worker ends with the batch of them that it runs.
 */
export const BUNDLE_MS = 200;
/** A bundle is rarely longer than twice what was expected. */
export const BUNDLE_PREFETCH_MS = 2 * BUNDLE_MS;
/** Texts of a few words: more of them would save nothing. */
const BUNDLE_ITEMS = 64;

/** Saved-up work of jobs, in turns; more would be a burst that callers notice. */
const MOST_SAVED_TURNS = 2;

/**
 * What waits, in two classes: callers go first, jobs get what they leave, and a small part in any case. Plain state without clock,
 * process or promise.
 *
 * 1. Each batch of callers saves work for waiting jobs: its size × least share ÷ (1 − least share). Once that is a turn, a job is
 *    next.
 * 2. Else callers are next.
 * 3. Else jobs, on idle workers. Nobody waits for them, so that a worker may have its next batch behind a short one at once,
 *    and several batches in one message.
 * 4. While callers are there, a job's batch is short, and if there are several workers, one of them runs no job: a caller should
 *    find it idle. What was saved for jobs (1) is exempt from the latter.
 */
export class WaitingClasses<R extends ClassedRow> {
  readonly callers: WaitingRows<R>;
  readonly jobs: WaitingRows<R>;
  readonly #savedPerCharacter: number;
  /** Characters that jobs may have before callers. */
  #saved = 0;
  #callerAtMs = Number.NEGATIVE_INFINITY;

  /** @param minShare of the work that jobs get at least while callers wait, from 0 to 1 */
  constructor(quantum: number, minShare: number) {
    this.callers = new WaitingRows(quantum);
    this.jobs = new WaitingRows(quantum);
    const share = Math.max(0, Math.min(1, minShare));
    this.#savedPerCharacter = share === 1 ? Number.POSITIVE_INFINITY : share / (1 - share);
  }

  get size(): number {
    return this.callers.size + this.jobs.size;
  }

  /** The rows of that row's class. */
  of({ isJob }: Pick<ClassedRow, 'isJob'>): WaitingRows<R> {
    return isJob ? this.jobs : this.callers;
  }

  hasKey(key: string): boolean {
    return this.callers.hasKey(key) || this.jobs.hasKey(key);
  }

  countOf(model: string): number {
    return this.callers.countOf(model) + this.jobs.countOf(model);
  }

  rowsOf(model: string): readonly R[] {
    return [...this.callers.rowsOf(model), ...this.jobs.rowsOf(model)];
  }

  /** A caller has come, whether it will wait or not. */
  arrived(nowMs: number): void {
    this.#callerAtMs = nowMs;
  }

  /** Time until callers count as gone; 0 if they are. */
  presentForMs(nowMs: number): number {
    if (this.callers.size > 0) return PRESENCE_MS;
    return Math.max(0, this.#callerAtMs + PRESENCE_MS - nowMs);
  }

  /** What runs next, and where; undefined if nothing can now. */
  next(
    workers: readonly WorkerView[],
    limits: BatchLimits,
    moment: Moment,
  ): Dispatch<R> | undefined {
    const isOwed = this.jobs.size > 0 && this.#saved >= this.jobs.quantum;
    const owed = isOwed ? this.#nextJob(workers, limits, moment, true) : undefined; // 1
    if (owed !== undefined) return owed;
    const called = plan(this.callers, workers, limits, moment.isHeld); // 2
    if (called === undefined) return this.#nextJob(workers, limits, moment, false); // 3
    if (this.jobs.size > 0) {
      const saved = this.#saved + sizeOf(called) * this.#savedPerCharacter;
      this.#saved = Math.min(saved, MOST_SAVED_TURNS * this.jobs.quantum);
    }
    return called;
  }

  #nextJob(
    workers: readonly WorkerView[],
    limits: BatchLimits,
    moment: Moment,
    isOwed: boolean,
  ): Dispatch<R> | undefined {
    if (this.jobs.size === 0) return undefined;
    const arePresent = this.presentForMs(moment.nowMs) > 0;
    if (arePresent && !isOwed && moment.workers > 1 && moment.jobBatches >= moment.workers - 1) {
      return undefined; // 4
    }
    const takers = arePresent ? workers.filter(({ capacity }) => capacity === 'now') : workers;
    const dispatch = plan(
      this.jobs,
      takers,
      limits,
      moment.isHeld,
      arePresent
        ? { sizeFor: moment.shortSize }
        : { canPrefetch: true, bundle: this.#bundleLimits(moment) },
    );
    if (dispatch !== undefined) this.#saved = Math.max(0, this.#saved - sizeOf(dispatch));
    return dispatch;
  }

  /** The last rows are divided among the workers: what is left is given out in ever smaller bundles. */
  #bundleLimits({ workers, bundleSize }: Moment): BundleLimits {
    const share = Math.ceil(this.jobs.size / (2 * workers));
    return { maxItems: Math.max(1, Math.min(BUNDLE_ITEMS, share)), sizeFor: bundleSize };
  }
}

function sizeOf<R extends WaitingRow>({ rows }: Dispatch<R>): number {
  return rows.reduce((sum, { size }) => sum + size, 0);
}
