/** What the runner of jobs needs of a queue, whichever engine keeps it: SQLite, Redis or PostgreSQL. */
import type { JobRequest, JobStateName } from '../../contract/jobs.js';
import type { FileRef } from '../files/place.js';
import type { ShardRange } from '../formats/format.js';

/** What decides the content of every part; the same on every machine, and after every restart. */
export interface JobModel {
  readonly id: string;
  readonly commit: string | null;
  readonly dtype: string;
}

/** A job as it is submitted. Small: a reference to its input, never rows. */
export interface NewJob {
  /** A function of what is asked: the same request while it is open is the same job. */
  readonly id: string;
  readonly request: JobRequest;
  /** As this server has it now. A job that ended with another commit or dtype is planned anew. */
  readonly model?: JobModel;
}

/** One range of rows with one part. */
export interface Shard {
  /** From 0, in the order of planning. */
  readonly index: number;
  readonly file: FileRef;
  readonly range: ShardRange;
}

/** One whose range could not be found in planning is set aside at once, with the reason. */
export interface PlannedShard extends Shard {
  readonly failed?: string;
}

export interface ShardResult {
  /** Name of its part. */
  readonly part: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Rows read, bad ones among them. */
  readonly rows: number;
  readonly bad: number;
  readonly server: string;
  readonly tookMs: number;
  readonly model: JobModel;
}

export type ShardStateName = 'waiting' | 'running' | 'done' | 'failed';

export interface ShardState {
  readonly shard: Shard;
  readonly state: ShardStateName;
  readonly attempts: number;
  /** Of its last failed attempt. */
  readonly reason: string | null;
  /** Who runs it, or ran it. */
  readonly server: string | null;
  readonly result: ShardResult | null;
}

export interface JobState {
  readonly id: string;
  readonly request: JobRequest;
  readonly state: JobStateName;
  readonly createdAtMs: number;
  readonly startedAtMs: number | null;
  readonly endedAtMs: number | null;
  readonly files: number;
  /** Whether all shards are known. */
  readonly planned: boolean;
  readonly shards: Readonly<Record<ShardStateName, number>>;
  readonly rows: number;
  readonly bad: number;
  /** Of the files found so far, and of the shards that are done (bytes of a packed file count by its share of rows). */
  readonly bytes: number;
  readonly bytesDone: number;
  /** Pinned when the planning began: no machine takes a shard with another commit or dtype. */
  readonly model: JobModel | null;
  readonly manifest: string | null;
  readonly error: string | null;
}

/** How far the planning of a job is: kept with each piece, so that another machine goes on there. */
export interface PlanPiece {
  readonly shards: readonly PlannedShard[];
  /** Files seen so far, and bytes of them. */
  readonly files: number;
  readonly bytes: number;
}

/** What a machine does for jobs. Each may throw; the queue decides on another attempt. */
export interface JobWork {
  /**
   * Asked before a shard is taken, and again every second while there is a reason.
   *
   * @returns why this machine takes no shard of the job now; undefined if it does
   */
  whyNotTake(job: JobState): string | undefined;
  /** The model as this machine has it. @throws NotNow if it has none */
  pin(job: JobState): Promise<JobModel>;
  /**
   * Cuts the input into shards, piece by piece. Deterministic: a machine that takes over an interrupted planning begins anew. The
   * queue compares with the shards that it has and leaves those out; a difference means that the input has changed.
   */
  plan(job: JobState, signal: AbortSignal): AsyncIterable<PlanPiece>;
  run(job: JobState, shard: Shard, signal: AbortSignal): Promise<ShardResult>;
  /** Writes the manifest. @returns where it is */
  finish(job: JobState, shards: AsyncIterable<ShardState>, signal: AbortSignal): Promise<string>;
}

/** An attempt that no other one can mend: the job fails at once, with this reason. */
export class JobFailure extends Error {
  /** Whether a retry has to list and cut the input again. */
  readonly plansAnew: boolean;

  constructor(message: string, options: ErrorOptions & { readonly plansAnew?: boolean } = {}) {
    super(message, options);
    this.plansAnew = options.plansAnew === true;
  }
}

/**
 * This shard cannot be done, and no other attempt would mend that: its file is gone, broken or another one. It is set aside at once
 * and the job goes on; a retry lists the input again.
 */
export class ShardFailure extends Error {}

/**
 * The work cannot go on here now, and the task is not to blame. It is put back for a while, which is no attempt.
 *
 * - `busy`: callers come first, or this server is not fit for the job. Another one may be; it waits as long as it takes.
 * - `outage`: the disk is full, or a server of the job's files is away. What lasts for an hour counts as attempts.
 */
export class NotNow extends Error {
  readonly kind: 'busy' | 'outage';

  constructor(kind: NotNow['kind'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** One thing that happened to a job. */
export interface JobEvent {
  readonly job: string;
  readonly kind: 'created' | 'planned' | 'shard' | 'ended';
}

/** What waits or runs. */
export interface QueueBacklog {
  readonly jobs: number;
  readonly shards: number;
  readonly rows: number;
  /** Each open job with its rows that are done. */
  readonly open: readonly Pick<JobState, 'id' | 'startedAtMs' | 'rows'>[];
}

/**
 * Keeps jobs and their shards, and gives shards to machines.
 *
 * 1. A shard is given to one machine at a time, for as long as that one says that it is alive; then to another.
 * 2. A failed attempt is made again after a pause (`jobs.backoff_ms`, doubled each time); after `jobs.attempts` the shard is set
 *    aside as failed, and the others go on. A shard that is handed back has not been attempted.
 * 3. A machine that was lost is no attempt either, for it may have been killed. But a shard that ends machines is set aside once it
 *    has lost ten of them, or three times `jobs.attempts`.
 * 4. A job whose shards are all done or failed is finished: its manifest is written. It is `failed` if a shard is.
 * 5. A cancelled job’s running shards are told by their signal; the waiting ones are not given out any more.
 */
export interface JobQueue {
  readonly engine: 'sqlite' | 'redis' | 'postgres';
  /** @throws PlimsollError if the engine is not fit for it */
  start(): Promise<void>;
  /**
   * 1. A new job is created.
   * 2. While it is open it is the same job, and nothing changes.
   * 3. One that is done begins anew: its input is listed again.
   * 4. One that failed or was cancelled goes on, as after {@link retry}.
   *
   * @returns the job as it is then
   * @throws PlimsollError TOO_MANY_JOBS for 1, 3 and 4
   */
  add(job: NewJob): Promise<JobState>;
  find(id: string): Promise<JobState | undefined>;
  /** Newest first. */
  list(limit: number, state?: JobStateName): Promise<readonly JobState[]>;
  /** In their order, from `from` on. */
  shards(
    id: string,
    of: { readonly from?: number; readonly limit: number; readonly state?: ShardStateName },
  ): Promise<readonly ShardState[]>;
  /** @throws PlimsollError JOB_NOT_FOUND, JOB_ENDED */
  cancel(id: string): Promise<JobState>;
  /**
   * Opens a failed or cancelled job again. What is done stays, unless its plan does not hold any more: planning failed, the input
   * of a shard could not be read, or the model is another one. Then the job begins anew.
   *
   * @param model as this server has it now
   * @throws PlimsollError JOB_NOT_FOUND, JOB_RUNNING, JOB_ENDED, TOO_MANY_JOBS
   */
  retry(id: string, model?: JobModel): Promise<JobState>;
  /** Why this server takes no task of an open job now; undefined if it would, or does not work on jobs. */
  whyIdle(id: string): string | undefined;
  /** Rows that wait in all open jobs, as far as they are planned, and jobs that are open: for scaling by their time. */
  backlog(): Promise<QueueBacklog>;
  /** Begins to take shards, `atOnce` at a time. */
  work(work: JobWork, atOnce: number): void;
  onEvent(listener: (event: JobEvent) => void): () => void;
  /** Takes no more, aborts what runs with `HANDED_BACK`, and gives it back. */
  stopWork(): Promise<void>;
  close(): Promise<void>;
}

/** Why a shard was aborted: it goes on elsewhere, and this was no attempt. */
export const HANDED_BACK = new Error('this server is stopping: the shard goes back to the queue');
