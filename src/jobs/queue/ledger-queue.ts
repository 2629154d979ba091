import type { JobStateName } from '../../contract/jobs.js';
import { PlimsollError } from '../../errors.js';
import type { Deliveries } from './engines/deliveries.js';
import type { JobRecord, Ledger } from './engines/ledger.js';
import { inTime } from './in-time.js';
import { written } from './journal/entries.js';
import { type LiveJob, LiveJobs } from './journal/live-jobs.js';
import { pageOf, shardStates } from './journal/shard-states.js';
import { Machine } from './machine/machine.js';
import { offerFailed, offerLost, offerSteps } from './offers.js';
import type {
  JobEvent,
  JobModel,
  JobQueue,
  JobState,
  JobWork,
  NewJob,
  QueueBacklog,
  ShardState,
  ShardStateName,
} from './queue.js';
import { stateOf } from './rules.js';
import { Throttle } from './throttle.js';

export interface QueueOptions {
  /** Name under which this server is shown. */
  readonly server: string;
  /** Jobs that are open at once, about: two servers that take one at the same moment may take one more. */
  readonly maxOpen: number;
  readonly attempts: number;
  readonly backoffMs: number;
  readonly lockMs: number;
  readonly keepDays: number;
  readonly now?: () => number;
  /** What failed beside a request: the engine was away, mostly. It is tried again. */
  readonly onError: (error: unknown) => void;
}

const DAY_MS = 86_400_000;
/** Servers see one another's news this often. */
const NEWS_MS = 1000;
const PRUNE_MS = 3_600_000;
const PAGE_JOBS = 50;
/** Until a job ends, which takes seconds or days. */
const ROOM_AFTER_S = 30;
/** What an engine lost, with its machine's power perhaps, is offered again after this long. */
const STEPS_AGAIN_MS = 1000;
const SHARDS_AGAIN_MS = 10_000;

/**
 * The queue on any engine. A job is its journal, kept by the ledger: what was planned, done, failed and asked. The deliveries only
 * give its shards out; whatever they lose or give twice, the journal decides.
 */
export class LedgerQueue implements JobQueue {
  readonly engine: JobQueue['engine'];
  readonly #ledger: Ledger;
  readonly #deliveries: Deliveries;
  readonly #options: QueueOptions;
  readonly #now: () => number;
  readonly #jobs: LiveJobs;
  readonly #listeners = new Set<(event: JobEvent) => void>();
  /** Open jobs at the last look. */
  #seen: Set<string> | undefined;
  #machine: Machine | undefined;
  #starting: Promise<void> | undefined;
  #news: NodeJS.Timeout | undefined;
  #watching: Promise<void> | undefined;
  #pruning: Promise<number> | undefined;
  #prunedAtMs = Number.NEGATIVE_INFINITY;
  readonly #stepsAgain = new Throttle(STEPS_AGAIN_MS);
  readonly #shardsAgain = new Throttle(SHARDS_AGAIN_MS);

  constructor(
    engine: JobQueue['engine'],
    parts: { readonly ledger: Ledger; readonly deliveries: Deliveries },
    options: QueueOptions,
  ) {
    this.engine = engine;
    this.#ledger = parts.ledger;
    this.#deliveries = parts.deliveries;
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#jobs = new LiveJobs(this.#ledger, (event) => this.#tell(event));
  }

  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  async add({ id, request, model }: NewJob): Promise<JobState> {
    return this.#asked(async () => {
      const isNew = (await this.#ledger.find(id)) === undefined;
      if (isNew) await this.#assertRoom();
      if (isNew) await this.#ledger.create({ id, request, createdAtMs: this.#now() });
      const job = await this.#jobs.current(await this.#record(id));
      const { tally } = job;
      if (tally.hasEnded) return this.#open(job, tally.state === 'done', model);
      if (!tally.planned) await offerSteps(this.#deliveries, job);
      if (isNew) this.#tellNew(id);
      this.#machine?.wake();
      return this.#stateOf(job.record);
    });
  }

  async find(id: string): Promise<JobState | undefined> {
    return this.#asked(async () => {
      const record = await this.#ledger.find(id);
      return record === undefined ? undefined : this.#stateOf(record);
    });
  }

  async list(limit: number, state?: JobStateName): Promise<readonly JobState[]> {
    return this.#asked(async () => {
      const found: JobState[] = [];
      for (let from = 0; found.length < limit; from += PAGE_JOBS) {
        const records = await this.#ledger.list(from, PAGE_JOBS);
        for (const record of records) {
          if (found.length >= limit) break;
          const job = await this.#stateOf(record);
          if (state === undefined || job.state === state) found.push(job);
        }
        if (records.length < PAGE_JOBS) break;
      }
      return found;
    });
  }

  async shards(
    id: string,
    of: { readonly from?: number; readonly limit: number; readonly state?: ShardStateName },
  ): Promise<readonly ShardState[]> {
    return this.#asked(async () => {
      const job = await this.#jobs.current(await this.#record(id));
      const indexes = await pageOf(this.#deliveries, job, of);
      return shardStates(this.#jobs, this.#deliveries, job, indexes);
    });
  }

  async cancel(id: string): Promise<JobState> {
    return this.#asked(async () => {
      const record = await this.#record(id);
      const job = await this.#jobs.current(record);
      if (job.tally.hasEnded) throw new PlimsollError('JOB_ENDED', `job ${id} has ended already`);
      await this.#jobs.append(record, [{ kind: 'cancelled', atMs: this.#now() }]);
      await this.#closeIfEnded(job);
      this.#machine?.wake();
      return this.#stateOf(await this.#record(id));
    });
  }

  async retry(id: string, model?: JobModel): Promise<JobState> {
    return this.#asked(async () => {
      const job = await this.#jobs.current(await this.#record(id));
      const { state, hasEnded } = job.tally;
      if (state === 'done')
        throw new PlimsollError('JOB_ENDED', `job ${id} is done: nothing is left to do`);
      if (!hasEnded) throw new PlimsollError('JOB_RUNNING', `job ${id} has not ended`);
      return this.#open(job, false, model);
    });
  }

  whyIdle(id: string): string | undefined {
    return this.#machine?.whyIdle(id);
  }

  /**
   * Opens an ended job again.
   *
   * 1. One that is done, one whose plan does not hold any more, and one that began with another model than it would now: anew.
   * 2. Any other: what is done stays, and failed shards are given out again.
   */
  async #open(job: LiveJob, isAnew: boolean, model: JobModel | undefined): Promise<JobState> {
    const { record, tally } = job;
    await this.#closeIfEnded(job);
    await this.#assertRoom();
    if (isAnew || tally.plansAnew || isOther(tally.model, model)) {
      await this.#deliveries.drop(record.id); // 1
      const createdAtMs = Math.max(this.#now(), record.createdAtMs + 1);
      const isOurs = await this.#ledger.restart(record, createdAtMs);
      if (isOurs) this.#tellNew(record.id);
    } else {
      await offerFailed(this.#deliveries, job); // 2
      await this.#ledger.reopen(record, written({ kind: 'retried' }));
    }
    const opened = await this.#jobs.current(await this.#record(record.id));
    await offerSteps(this.#deliveries, opened);
    this.#machine?.wake();
    return this.#stateOf(opened.record);
  }

  /** @throws PlimsollError TOO_MANY_JOBS */
  async #assertRoom(): Promise<void> {
    const { maxOpen } = this.#options;
    if ((await this.#ledger.countOpen()) < maxOpen) return;
    const message = `${maxOpen} jobs are open already, as many as jobs.max_open allows: try again when one has ended`;
    throw new PlimsollError('TOO_MANY_JOBS', message, { retryAfterSeconds: ROOM_AFTER_S });
  }

  #tellNew(id: string): void {
    this.#seen?.add(id);
    this.#tell({ job: id, kind: 'created' });
  }

  async backlog(): Promise<QueueBacklog> {
    return this.#asked(async () => {
      const records = await this.#ledger.open();
      let [shards, rows] = [0, 0];
      const open: Pick<JobState, 'id' | 'startedAtMs' | 'rows'>[] = [];
      for (const record of records) {
        const { tally } = await this.#jobs.current(record);
        if (tally.hasEnded) continue;
        shards += tally.known - tally.done - tally.failed;
        rows += tally.rowsLeft;
        open.push({ id: record.id, startedAtMs: tally.startedAtMs, rows: tally.rows });
      }
      return { jobs: records.length, shards, rows, open };
    });
  }

  work(work: JobWork, atOnce: number): void {
    if (this.#machine !== undefined) throw new Error('this server works already');
    const { server, attempts, backoffMs, lockMs, onError } = this.#options;
    this.#machine = new Machine(
      {
        ...{ jobs: this.#jobs, deliveries: this.#deliveries },
        ...{ server, attempts, backoffMs, lockMs, onError, now: this.#now },
        openJobs: () => this.#openJobs(),
        wake: () => this.#machine?.wake(),
        closeIfEnded: (job) => this.#closeIfEnded(job),
      },
      work,
      atOnce,
    );
    this.#machine.start();
  }

  onEvent(listener: (event: JobEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async stopWork(): Promise<void> {
    await this.#machine?.stop();
    this.#machine = undefined;
  }

  async close(): Promise<void> {
    clearInterval(this.#news);
    await this.stopWork();
    await this.#watching;
    await this.#deliveries.stop();
    await this.#ledger.stop();
  }

  async #start(): Promise<void> {
    await this.#ledger.start();
    await this.#deliveries.start();
    this.#news = setInterval(() => {
      this.#watching ??= this.#watch().finally(() => {
        this.#watching = undefined;
      });
    }, NEWS_MS).unref();
  }

  /** What other servers did to jobs, for who listens; and jobs that are too old. */
  async #watch(): Promise<void> {
    try {
      if (this.#now() - this.#prunedAtMs > PRUNE_MS) {
        this.#prunedAtMs = this.#now();
        await this.prune();
      }
      if (this.#listeners.size > 0 && this.#machine === undefined) await this.#openJobs();
    } catch (error) {
      this.#options.onError(error);
    }
  }

  /** Forgets jobs that ended longer ago than `keepDays`. @returns how many */
  prune(): Promise<number> {
    this.#pruning ??= this.#prune().finally(() => {
      this.#pruning = undefined;
    });
    return this.#pruning;
  }

  async #prune(): Promise<number> {
    const beforeMs = this.#now() - this.#options.keepDays * DAY_MS;
    let count = 0;
    for (;;) {
      const ids = await this.#ledger.endedBefore(beforeMs);
      for (const id of ids) {
        await this.#deliveries.drop(id);
        await this.#ledger.remove(id, beforeMs);
        this.#jobs.forget(id);
      }
      count += ids.length;
      if (ids.length === 0) return count;
    }
  }

  /**
   * Jobs that are open, each up to date. A job whose end was noted in its journal alone, by a server that was lost then, is closed;
   * one that lacks its next step, or shards, is given them: those that are there stay as they are.
   */
  async #openJobs(): Promise<readonly LiveJob[]> {
    const records = await this.#ledger.open();
    const ids = new Set(records.map(({ id }) => id));
    for (const id of new Set([...(this.#seen ?? []), ...this.#jobs.unfinished])) {
      // It ended elsewhere: its last entries are read, and told.
      if (!ids.has(id)) await this.#tellEnd(id);
    }
    const open: LiveJob[] = [];
    const [stepsAgain, shardsAgain] = [this.#stepsAgain.isDue(), this.#shardsAgain.isDue()];
    for (const record of records) {
      const isNew = this.#seen !== undefined && !this.#seen.has(record.id);
      const job = await this.#jobs.current(record);
      open.push(job);
      if (isNew) this.#tell({ job: record.id, kind: 'created' });
      await this.#closeIfEnded(job);
      if (isNew || stepsAgain) await offerSteps(this.#deliveries, job);
      if (shardsAgain) await offerLost(this.#deliveries, job);
    }
    this.#seen = ids;
    return open;
  }

  async #tellEnd(id: string): Promise<void> {
    const record = await this.#ledger.find(id);
    if (record === undefined) this.#jobs.forget(id);
    else await this.#jobs.current(record);
  }

  /** A job that is done has no use for its tasks; one that failed or was cancelled keeps them for a retry. */
  async #closeIfEnded({ record, tally }: LiveJob): Promise<void> {
    if (!tally.hasEnded) return;
    const isClosed = await this.#ledger.close(stateOf(record, tally, 0), tally.entries);
    if (isClosed && tally.state === 'done') await this.#deliveries.drop(record.id);
  }

  async #record(id: string): Promise<JobRecord> {
    const record = await this.#ledger.find(id);
    if (record === undefined) throw new PlimsollError('JOB_NOT_FOUND', `no job has the id ${id}`);
    return record;
  }

  async #stateOf(record: JobRecord): Promise<JobState> {
    if (record.ended !== null) return record.ended;
    const { tally } = await this.#jobs.current(record);
    const running = tally.hasEnded ? 0 : await this.#deliveries.running(record.id);
    return stateOf(record, tally, running);
  }

  #tell(event: JobEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  #asked<T>(work: () => Promise<T>): Promise<T> {
    return inTime(this.engine, work);
  }
}

function isOther(before: JobModel | null, now: JobModel | undefined): boolean {
  if (before === null || now === undefined) return false;
  return before.commit !== now.commit || before.dtype !== now.dtype;
}
