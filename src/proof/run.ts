/** What one run collects, before anything is computed from it. Times are ms since the run began. */
import type { Counters } from './counters.js';
import type { InputSet } from './inputs.js';
import type { ModelReply, Receipt } from './wire.js';

/** One request of one user. `session` and `user` count from 1; `user` runs through all sessions. */
export interface RequestRow {
  readonly session: number;
  readonly user: number;
  /** Place of the text in the input set, from 0. */
  readonly input: number;
  readonly startMs: number;
  /** From sending to the last byte of the reply. */
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
  readonly pssMb: number | null;
  readonly loadLineMb: number | null;
  readonly pressure: string;
  readonly processes: number;
  readonly usersSinceRecycle: number | null;
}

/** A user is successful when every request was; unfinished when the run was stopped meanwhile. */
export type UserOutcome = 'successful' | 'failed' | 'unfinished';

export type SessionState =
  | 'ended'
  /** The server did not open it: none of its requests were sent. */
  | 'not opened'
  /** The server did not answer the request to end it with success. */
  | 'not ended'
  /** The run was stopped while it played. */
  | 'stopped';

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
  readonly before: Reading | null;
  readonly beforeCleanup: Reading | null;
  readonly after: Reading | null;
}

export interface LoadRun {
  readonly startedAt: string;
  readonly durationMs: number;
  /** Why the run did not finish, or null when it did. */
  readonly stopped: string | null;
  readonly planned: {
    readonly sessions: number;
    readonly users: number;
    readonly requests: number;
  };
  readonly inputSet: InputSet;
  readonly sessions: readonly SessionRun[];
  readonly requests: readonly RequestRow[];
  readonly readings: readonly Reading[];
  /** Requests for a reading that gave none. */
  readonly readingsMissed: number;
  readonly counters: { readonly before: Counters | null; readonly after: Counters | null };
}

/** What happens while it runs, for whoever shows progress. */
export type LoadEvent =
  /** The server is ready and the first session is about to begin. */
  | { readonly kind: 'run started' }
  | { readonly kind: 'session started'; readonly session: number }
  | { readonly kind: 'request'; readonly row: RequestRow }
  | { readonly kind: 'reading'; readonly reading: Reading }
  | { readonly kind: 'session ended'; readonly session: SessionRun };
