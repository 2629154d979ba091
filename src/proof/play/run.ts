/** The raw data of one run. Times are ms since the run began. */

import type { CacheLife, ModelReply, Receipt } from '../replies.js';
import type { Description } from '../statistics.js';
import type { Counters } from './counters.js';
import type { InputSet } from './inputs.js';
import type { Plan } from './plan.js';
import type { Moments } from './sample.js';

/** One request of one user. `session` and `user` count from 1; `user` runs through all sessions. */
export interface RequestRow {
  readonly session: number;
  readonly user: number;
  /** Its place among the requests of its user, from 1. */
  readonly request: number;
  /** Place of the text in the input set, from 0. */
  readonly input: number;
  /** When it was due; in a closed loop, when it was sent. */
  readonly startMs: number;
  /** Delay until it was sent, because too many were in flight. */
  readonly lateMs: number;
  /** From its due time to the last byte of the reply: a late start is caused by the server, and counts. */
  readonly ms: number;
  /** HTTP status, 0 when no reply came. */
  readonly status: number;
  /** A 2xx reply with a label and a score. */
  readonly ok: boolean;
  readonly label: string | null;
  readonly expected: string | null;
  /** The cache tier that answered, `none` when the model ran, null for a failed request. */
  readonly cached: string | null;
  readonly code: string | null;
}

export type ReadingPhase = 'before session' | 'during session' | 'before cleanup' | 'after cleanup';

/** One reply of `GET /v1/memory`, in MB. `privateMb` is the sum over all of the server's processes. */
export interface Reading {
  readonly atMs: number;
  readonly session: number;
  readonly phase: ReadingPhase;
  readonly totalMb: number;
  readonly usedMb: number;
  readonly percent: number;
  readonly privateMb: number | null;
  /** Of that, the workers': what a cleanup is about; the main process collects its garbage by itself. */
  readonly workersMb: number | null;
  readonly pssMb: number | null;
  readonly loadLineMb: number | null;
  readonly pressure: string;
  readonly processes: number;
  readonly usersSinceRecycle: number | null;
}

/** A user is successful if every request was, unfinished if the run was stopped meanwhile. */
export type UserOutcome = 'successful' | 'failed' | 'unfinished';

export type SessionState =
  | 'ended'
  /** The server did not open it: none of its requests were sent. */
  | 'not opened'
  /** The server did not answer the request to end it with success. */
  | 'not ended'
  /** The run was stopped while it played. */
  | 'stopped';

/** All requests of one session. */
export interface SessionRequests {
  readonly sent: number;
  readonly ok: number;
  readonly failed: number;
  readonly fromCache: number;
  /** Of the successful ones, in ms. */
  readonly response: Description | null;
}

/** A deliberate disturbance of the server during a session. */
export interface Disturbance {
  /** In the past tense, such as `workers were killed`. */
  readonly what: string;
  readonly detail: string;
  /** Whether the server recovered. */
  readonly overcome: boolean;
}

/** Disturbs the server during a session, or not; the session lasts until it is done. Never rejects. */
export type Disturber = (session: number, stop: AbortSignal) => Promise<Disturbance | null>;

export interface SessionRun {
  /** From 1. */
  readonly number: number;
  /** The server's identifier, null when it was not opened. */
  readonly id: string | null;
  readonly state: SessionState;
  readonly problem: string | null;
  readonly startedMs: number;
  /** When the last user had finished and the end was asked for. */
  readonly playedMs: number;
  /** When the reply with the receipt was there. */
  readonly closedMs: number;
  readonly users: readonly UserOutcome[];
  /** The models that answered in this session. */
  readonly models: readonly string[];
  /** Those models as `GET /v1/models` showed them after the end; null when it gave no usable reply. */
  readonly modelsAfter: readonly ModelReply[] | null;
  readonly receipt: Receipt | null;
  readonly requests: SessionRequests;
  /** Highest private memory from before the session until before its cleanup. */
  readonly highestMb: number | null;
  readonly highestWorkersMb: number | null;
  /** How many processes its readings counted, each number once. */
  readonly processCounts: readonly number[];
  /** Whether the count of users since the last recycle fell. */
  readonly usersFell: boolean;
  /** What was done to the server meanwhile, if anything was. */
  readonly disturbance: Disturbance | null;
  /** Sessions of other callers that were at work when this one ended: what they use stays loaded. */
  readonly otherSessions: number;
  readonly before: Reading | null;
  readonly beforeCleanup: Reading | null;
  readonly after: Reading | null;
}

/** All requests of a run, counted; the single ones are a sample when there are many. */
export interface RequestTotals {
  readonly sent: number;
  readonly ok: number;
  readonly failed: number;
  /** Response times of the successful ones. */
  readonly response: Moments;
  /** Successful ones by what answered. */
  readonly tiers: ReadonlyMap<string, number>;
  /** Failed ones by code. */
  readonly codes: ReadonlyMap<string, number>;
  readonly distinctTexts: number;
  /** First answers to labelled texts, each text once. */
  readonly labelled: number;
  readonly correct: number;
}

/** All readings of a run, counted. */
export interface ReadingTotals {
  readonly count: number;
  readonly missed: number;
  readonly used: Moments;
  readonly private: Moments;
  readonly levels: ReadonlyMap<string, number>;
  /** Readings by how many processes they counted. */
  readonly processCounts: ReadonlyMap<number, number>;
  readonly last: Reading | null;
}

/** A sample: one of `oneOf` items was kept. */
export interface Sampled<T> {
  readonly items: readonly T[];
  readonly oneOf: number;
}

export interface LoadRun {
  readonly startedAt: string;
  readonly durationMs: number;
  /** Why the run did not finish, or null when it did. */
  readonly stopped: string | null;
  readonly plan: Plan;
  readonly inputSet: InputSet;
  readonly sessions: readonly SessionRun[];
  readonly requests: Sampled<RequestRow>;
  readonly requestTotals: RequestTotals;
  readonly readings: Sampled<Reading>;
  readonly readingTotals: ReadingTotals;
  /** What set off the recycles of this run, each as its receipt says; null where there are no receipts. */
  readonly recycleCauses: readonly string[] | null;
  /** CPU time of the machine that other programs took, null where that cannot be known. */
  readonly othersCpuPercent: number | null;
  readonly cacheLives: readonly CacheLife[];
  readonly counters: { readonly before: Counters | null; readonly after: Counters | null };
}

/** Progress events. */
export type LoadEvent =
  /** The server is ready and the first session is about to begin. */
  | { readonly kind: 'run started' }
  /** Sessions of other callers are at work; the proof waits for a while. */
  | { readonly kind: 'waiting'; readonly sessions: number }
  | { readonly kind: 'session started'; readonly session: number; readonly users: number }
  | { readonly kind: 'request'; readonly row: RequestRow }
  | { readonly kind: 'reading'; readonly reading: Reading }
  | { readonly kind: 'session ended'; readonly session: SessionRun };
