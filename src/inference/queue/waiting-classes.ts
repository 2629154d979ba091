import {
  type BatchLimits,
  type Dispatch,
  type PlanOptions,
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
  /** Batches and bundles of jobs that run now, but for short bundles. */
  readonly jobBatches: number;
  readonly isHeld: (model: string) => boolean;
  /** Characters of that model which run within so long on one worker; infinite before its first batch. */
  readonly sizeWithin: (model: string, ms: number) => number;
}

/** Callers count as there for this long after the last one came. */
const PRESENCE_MS = 1000;

/** While callers are there: a caller who finds every worker busy with a job waits for half of this. */
const SHORT_BATCH_MS = 8;
/** On the worker that callers should find idle: a row of a job runs for no longer than this. */
const SHORT_ROW_MS = 4;

/**
 * While no caller is there, so much work goes to a worker in one message, and as much waits behind it in its pipe. A message costs the
 * main process about a tenth of what a text of a small model costs its worker. A caller who comes after a while does not wait for it: both
 * bundles are recalled, and the worker ends with the batch of them that it runs.
 */
const BUNDLE_MS = 200;
/** While callers are there, bundles are recalled often, and what was tokenized of them is tokenized again. */
const BESIDE_BUNDLE_MS = 100;
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
 * 3. Else jobs, on idle workers, in bundles: several batches in one message. They are recalled when a caller waits for a worker.
 * 4. While callers are there, bundles and their batches are short, and nothing waits behind them. If there are several workers, one of
 *    them runs only rows that end at once: a caller should find it idle, or nearly so.
 * 5. What was saved for jobs (1) runs in one short batch, on any worker: it is not recalled.
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
    const takers = arePresent ? workers.filter(({ capacity }) => capacity === 'now') : workers;
    const how = isOwed ? shortBatch(moment) : this.#bundles(moment, arePresent);
    const dispatch = plan(this.jobs, takers, limits, moment.isHeld, how);
    if (dispatch !== undefined) this.#saved = Math.max(0, this.#saved - sizeOf(dispatch));
    return dispatch;
  }

  /** The last rows are divided among the workers: what is left is given out in ever smaller bundles. */
  #bundles({ workers, jobBatches, sizeWithin }: Moment, arePresent: boolean): PlanOptions {
    const share = Math.ceil(this.jobs.size / (2 * workers));
    const maxItems = Math.max(1, Math.min(BUNDLE_ITEMS, share));
    const within = (ms: number) => (model: string) => sizeWithin(model, ms);
    if (!arePresent) {
      const sizes = { sizeFor: within(BUNDLE_MS), batchSizeFor: () => Number.POSITIVE_INFINITY };
      return { canPrefetch: true, bundle: { maxItems, ...sizes, prefetchMs: 2 * BUNDLE_MS } };
    }
    const isLast = workers > 1 && jobBatches >= workers - 1;
    const rowSizeFor = isLast ? finite(within(SHORT_ROW_MS)) : undefined;
    const batchSizeFor = within(isLast ? SHORT_ROW_MS : SHORT_BATCH_MS);
    const sizes = { sizeFor: within(BESIDE_BUNDLE_MS), batchSizeFor, rowSizeFor };
    return { bundle: { maxItems, ...sizes, prefetchMs: 0 } }; // 4
  }
}

/** What runs in turn with callers. */
function shortBatch({ sizeWithin }: Moment): PlanOptions {
  return { sizeFor: (model) => sizeWithin(model, SHORT_BATCH_MS) }; // 5
}

/** Of a model that has not shown yet what it costs, nothing counts as short. */
function finite(sizeFor: (model: string) => number): (model: string) => number {
  return (model) => {
    const size = sizeFor(model);
    return Number.isFinite(size) ? size : 0;
  };
}

function sizeOf<R extends WaitingRow>({ rows }: Dispatch<R>): number {
  return rows.reduce((sum, { size }) => sum + size, 0);
}
