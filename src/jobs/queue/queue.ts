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
}

/** One range of rows with one part. */
export interface Shard {
  /** From 0, in the order of planning. */
  readonly index: number;
  readonly file: FileRef;
  readonly range: ShardRange;
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
  readonly model: JobModel | null;
  readonly manifest: string | null;
  readonly error: string | null;
}

/** How far the planning of a job is: kept with each piece, so that another machine goes on there. */
export interface PlanPiece {
  readonly shards: readonly Shard[];
  /** Files seen so far, and bytes of them. */
  readonly files: number;
  readonly bytes: number;
}

/** What a machine does for jobs. Each may throw; the queue decides on another attempt. */
export interface JobWork {
  /** Asked before a shard is taken, and again every second while the answer is no. */
  mayTake(job: JobState): boolean;
  /**
   * Cuts the input into shards, piece by piece. Deterministic: who takes over an interrupted planning begins anew, and the queue leaves
   * out the shards that it has.
   */
  plan(job: JobState, signal: AbortSignal): AsyncIterable<PlanPiece>;
  run(job: JobState, shard: Shard, signal: AbortSignal): Promise<ShardResult>;
  /** Writes the manifest. @returns where it is */
  finish(job: JobState, shards: AsyncIterable<ShardState>, signal: AbortSignal): Promise<string>;
}

/** An attempt that no other one can mend: the job fails at once, with this reason. */
export class JobFailure extends Error {}

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
 *    aside as failed, and the others go on. A machine that was lost counts as an attempt; one that handed its shard back does not.
 * 3. A job whose shards are all done or failed is finished: its manifest is written. It is `failed` if a shard is.
 * 4. A cancelled job’s running shards are told by their signal; the waiting ones are not given out any more.
 */
export interface JobQueue {
  readonly engine: 'sqlite' | 'redis' | 'postgres';
  /** @throws PlimsollError if the engine is not fit for it */
  start(): Promise<void>;
  /** @returns the job as it is: the one that was there, if it was */
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
  /** Gives failed and cancelled shards out again. @throws PlimsollError JOB_NOT_FOUND, JOB_RUNNING */
  retry(id: string): Promise<JobState>;
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
