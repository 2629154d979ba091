import { FleetPace, type OpenJob } from './pace.js';
import { Rate, type RunningRows } from './progress.js';
import type { JobEvent, JobQueue } from './queue/queue.js';

/** Shortest time between two looks that nobody asked for. */
const BETWEEN_LOOKS_MS = 1000;

export interface BacklogParts {
  readonly queue: Pick<JobQueue, 'backlog' | 'find' | 'onEvent'>;
  readonly progress: Pick<RunningRows, 'of'>;
  /** Wall clock, in ms: that of the journals. */
  readonly now?: (() => number) | undefined;
}

/** What is left to do, and how fast it is done. It looks at the journals by itself while jobs are open. */
export class Backlog {
  readonly #parts: BacklogParts;
  readonly #now: () => number;
  readonly #pace = new FleetPace();
  /** Of each open job. */
  readonly #rates = new Map<string, Rate>();
  /** The last look: they go one after another, so that none counts rows that a later one has counted. */
  #last: Promise<number | undefined> = Promise.resolve(undefined);
  /** A look that has not begun yet: it will see what is told meanwhile. */
  #waiting: Promise<number | undefined> | undefined;
  #soon: NodeJS.Timeout | undefined;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  readonly #stop: () => void;

  constructor(parts: BacklogParts) {
    this.#parts = parts;
    this.#now = parts.now ?? Date.now;
    // The queue reads what all servers did every second while a job is open, and tells of each shard.
    this.#stop = parts.queue.onEvent((event) => this.#heard(event));
    // What the queue held before this server began is not told.
    this.#lookSoon();
  }

  /**
   * Time that the open jobs will take at the pace of all servers together; 0 without one.
   *
   * @throws PlimsollError JOBS_UNAVAILABLE
   */
  async seconds(): Promise<number> {
    const rowsLeft = await this.#look();
    if (rowsLeft === undefined) return 0;
    // A job that is not planned yet is some work, too.
    return Math.max(1, rowsLeft / this.#pace.perSecond(this.#now()));
  }

  /**
   * Rows per second of an open job over the last minute; undefined before that can be said.
   *
   * @param rows done so far, those of shards that run here among them
   */
  perSecond(job: string, rows: number): number | undefined {
    const rate = this.#rateOf(job);
    rate.add(this.#now(), rows);
    return rate.perSecond;
  }

  close(): void {
    this.#stop();
    clearTimeout(this.#soon);
  }

  #heard({ kind }: JobEvent): void {
    if (kind !== 'planned') this.#lookSoon();
  }

  /** Small shards end many times a second: one look is for all of them. */
  #lookSoon(): void {
    const waitMs = this.#lookedAtMs + BETWEEN_LOOKS_MS - performance.now();
    this.#soon ??= setTimeout(
      () => {
        this.#soon = undefined;
        this.#lookedAtMs = performance.now();
        // While the queue does not answer nothing is known; whoever asks for the backlog is told.
        this.#look().catch(() => undefined);
      },
      Math.max(0, waitMs),
    ).unref();
  }

  #look(): Promise<number | undefined> {
    this.#waiting ??= this.#last
      .catch(() => undefined)
      .then(() => {
        this.#waiting = undefined;
        return this.#lookNow();
      });
    this.#last = this.#waiting;
    return this.#waiting;
  }

  /** @returns rows that are left; undefined if no job is open */
  async #lookNow(): Promise<number | undefined> {
    const { queue, progress } = this.#parts;
    const { jobs, rows, open } = await queue.backlog();
    const ids = new Set(open.map(({ id }) => id));
    const ended: OpenJob[] = [];
    for (const id of [...this.#pace.jobs].filter((one) => !ids.has(one))) {
      ended.push((await queue.find(id)) ?? { id, startedAtMs: null, rows: 0 });
    }
    const nowMs = this.#now();
    this.#pace.look(nowMs, open, ended);
    for (const id of this.#rates.keys()) if (!ids.has(id)) this.#rates.delete(id);
    for (const job of open) this.#rateOf(job.id).add(nowMs, job.rows + progress.of(job.id));
    return jobs === 0 ? undefined : rows;
  }

  #rateOf(job: string): Rate {
    const rate = this.#rates.get(job) ?? new Rate();
    this.#rates.set(job, rate);
    return rate;
  }
}
