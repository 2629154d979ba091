import type { ResultCache } from '../cache/result-cache.js';
import type { WorkerState } from '../inference/workers/worker.js';
import type { Pressure } from '../memory/policy.js';
import type { ProcessesReading } from '../memory/process-ring.js';
import type { Receipt } from '../memory/receipt.js';
import type { RingReading } from '../memory/ring.js';
import type { MemorySnapshot } from '../memory/snapshot.js';
import type { Metrics } from '../metrics/metrics.js';
import type { Dtype } from '../models/intake/dtype.js';
import type { PoolFigures } from '../pools/connection-pool.js';
import type { SessionRegistry } from '../sessions/registry.js';
import type { ClassificationService } from '../sessions/service.js';
import type { ShownSetting } from '../settings/shown.js';
import type { RecordFilter, StoredEvent, StoredReading, StoredRecord } from '../store/reader.js';

/** A model as the interface shows it. */
export interface ModelView {
  readonly id: string;
  readonly task: string | null;
  readonly labels: readonly string[];
  readonly state: 'unprepared' | 'unloaded' | 'loaded' | 'broken';
  /** Type of its weights; null if it is broken. */
  readonly dtype: Dtype | null;
  /** How each worker holds it. */
  readonly workers: readonly {
    readonly worker: string;
    readonly state: 'unloaded' | 'cold' | 'hot';
  }[];
  readonly reason?: string;
  readonly sourceBytes: number | null;
  readonly mappedBytes: number | null;
  readonly privateBytes: number | null;
  readonly loadMs: number | null;
  /** When its last request came, in milliseconds since 1970. */
  readonly lastUsedAtMs: number | null;
}

/** A worker as the interface shows it. */
export interface WorkerView {
  readonly id: string;
  readonly pid: number | null;
  readonly state: WorkerState;
  readonly busy: boolean;
  readonly startedAtMs: number;
  /** Users who have come since it was started. */
  readonly users: number;
  /** By the last reading; null before the first. */
  readonly privateBytes: number | null;
  readonly models: readonly string[];
}

/** Ways to play a proof that a caller may ask the server for; the first is the usual one. */
export const PROOF_PROFILES = ['reference'] as const;
export type ProofProfile = (typeof PROOF_PROFILES)[number];

/** A proof as the interface shows it. */
export interface ProofView {
  readonly id: string;
  readonly profile: ProofProfile;
  readonly state: 'running' | 'passed' | 'failed' | 'broken';
  readonly started_at: string;
  readonly ended_at: string | null;
  readonly sessions_done: number;
  readonly sessions_total: number;
  /** Why it did not pass, in one line; null while it runs and when it passed. */
  readonly because?: string | null;
  readonly report_url: string | null;
}

export interface ReceiptQuery {
  readonly kind?: string | undefined;
  readonly session?: string | undefined;
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  readonly limit: number;
}

/** The user by name: the server knows how it is hashed. */
export interface RecordQuery extends Omit<RecordFilter, 'userHash'> {
  readonly user?: string | undefined;
}

/** What goes to an open page. */
export type EventKind = 'state' | 'mark' | 'heartbeat';

/** An open page, as its feeder sees it. */
export interface Viewer {
  /** Takes a message of `text/event-stream`; never waits. */
  readonly send: (kind: EventKind, message: Buffer) => void;
  readonly end: () => void;
}

/** What the routes need of the rest of the server. */
export interface HttpServices {
  readonly classification: ClassificationService;
  readonly sessions: SessionRegistry;
  readonly memory: {
    readonly read: () => Promise<MemorySnapshot>;
    readonly loadLineBytes: (snapshot: MemorySnapshot) => number;
    readonly pressure: () => Pressure;
    readonly usersSinceRecycle: () => number;
    readonly cleanup: () => Promise<Receipt>;
    readonly recycle: () => Promise<Receipt>;
    /** Regular readings since a time, at most those of the last hour. */
    readonly readings: (sinceMs: number) => readonly RingReading[];
    /** Regular readings by process since a time, at most those of the last half hour. */
    readonly processes: (sinceMs: number) => readonly ProcessesReading[];
  };
  readonly models: {
    readonly list: () => Promise<readonly ModelView[]>;
    readonly load: (id: string) => Promise<ModelView>;
    readonly unload: (id: string) => Promise<ModelView>;
  };
  readonly workers: {
    readonly list: () => readonly WorkerView[];
    readonly recycle: (id: string) => Promise<Receipt>;
  };
  /** What open pages are fed. */
  readonly events: {
    /** @returns what ends it. @throws PlimsollError TOO_MANY_VIEWERS, SHUTTING_DOWN */
    readonly join: (viewer: Viewer) => () => void;
    readonly close: () => void;
  };
  /**
   * What was kept in this run and earlier ones. Each throws PlimsollError DATABASE_UNAVAILABLE.
   * Sessions and receipts have the form that goes over the wire.
   */
  readonly archive: {
    readonly session: (id: string) => Promise<unknown>;
    readonly sessions: (limit: number) => Promise<readonly unknown[]>;
    /** Minutes of readings since a time, oldest first. */
    readonly readings: (sinceMs: number, limit: number) => Promise<readonly StoredReading[]>;
    readonly receipts: (query: ReceiptQuery) => Promise<readonly unknown[]>;
    /** Classifications, newest first. */
    readonly records: (query: RecordQuery) => Promise<readonly StoredRecord[]>;
    readonly pastEvents: (query: ReceiptQuery) => Promise<readonly StoredEvent[]>;
    /** Users of a session, in the order in which they came. */
    readonly users: (
      session: string,
    ) => Promise<readonly { readonly user_hash: string; readonly at_ms: number }[]>;
  };
  /** Proofs of this server that were asked for over HTTP. */
  readonly proofs: {
    readonly list: () => readonly ProofView[];
    /** @throws PlimsollError PROOF_RUNNING, SHUTTING_DOWN */
    readonly run: (profile: ProofProfile) => Promise<ProofView>;
    /** @throws PlimsollError PROOF_NOT_FOUND */
    readonly report: (id: string) => Promise<Buffer>;
  };
  readonly cache: Pick<ResultCache, 'figures' | 'clear'>;
  readonly settings: readonly ShownSetting[];
  /** Figures of the pools to other servers. */
  readonly pools: () => readonly PoolFigures[];
  /** Why the server cannot take requests now; empty if it can. */
  readonly notReadyBecause: () => string;
  /** What another server's absence costs; requests are answered all the same. */
  readonly degradedBecause: () => readonly string[];
  readonly metrics: Metrics;
  readonly limits: {
    readonly maxInputs: number;
    readonly deadlineMs: number;
  };
  /** Key of the hash that stands for a caller's address. */
  readonly userSecret: string;
}
