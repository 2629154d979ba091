import type { JobRequest } from '../../../contract/jobs.js';
import type { JobState } from '../queue.js';

export interface JobRecord {
  readonly id: string;
  readonly request: JobRequest;
  readonly createdAtMs: number;
  /** How it ended; null while it is open. */
  readonly ended: JobState | null;
}

/** A job and its begin: one that begins anew has another time, so that what lost machines add to the old one is refused. */
export type JobKey = Pick<JobRecord, 'id' | 'createdAtMs'>;

/** The job has been forgotten, or began anew: what was to be noted is of no use any more. */
export class JobForgotten extends Error {
  constructor({ id }: JobKey) {
    super(`the job ${id} has been forgotten, or began anew`);
  }
}

/**
 * Where jobs and their journals are kept. A journal is a list of entries (JSON) that only grows; all servers see it in the same
 * order. Every method throws if the engine does not answer.
 */
export interface Ledger {
  start(): Promise<void>;
  /** Nothing happens if there is a job of that id. */
  create(record: Omit<JobRecord, 'ended'>): Promise<void>;
  find(id: string): Promise<JobRecord | undefined>;
  /** Newest first. */
  list(from: number, limit: number): Promise<readonly JobRecord[]>;
  /** Jobs that have not ended, oldest first. */
  open(): Promise<readonly JobRecord[]>;
  /** How many have not ended. */
  countOpen(): Promise<number>;
  /** @throws JobForgotten */
  append(job: JobKey, entries: readonly string[]): Promise<void>;
  /** Entries from place `from` on, at most `limit`. */
  read(id: string, from: number, limit: number): Promise<readonly string[]>;
  /**
   * Notes how a job ended, unless its journal has more than that many entries: then it was opened again.
   *
   * @returns whether that was not noted before
   */
  close(state: JobState, entries: number): Promise<boolean>;
  /** Appends the entry that opens an ended job again. @throws JobForgotten */
  reopen(job: JobKey, entry: string): Promise<void>;
  /**
   * An ended job begins anew: its journal is empty, and it was created at that time, which is later than before.
   *
   * @returns false if it did not happen: somebody else did so
   */
  restart(job: JobKey, createdAtMs: number): Promise<boolean>;
  /** Jobs that ended before that time, a few of them. */
  endedBefore(timeMs: number): Promise<readonly string[]>;
  /** Forgets a job that ended before that time. One that was opened again meanwhile, or is another of that id, stays. */
  remove(id: string, beforeMs: number): Promise<void>;
  stop(): Promise<void>;
}
