import type { Abortable } from '../cache/abortable.js';
import type { CacheView, ClearedCache } from '../contract/cache.js';
import type { EventKind } from '../contract/events.js';
import type { FleetView } from '../contract/fleet.js';
import type { ModelDetail, ModelView, PullView } from '../contract/models.js';
import type { ProofProfile, ProofView } from '../contract/proofs.js';
import type { Receipt } from '../contract/receipts.js';
import type { ClassificationRecord, PastEvent } from '../contract/records.js';
import type { KeyView, SettingView } from '../contract/service.js';
import type { SessionUsers, SessionView } from '../contract/sessions.js';
import type {
  MemoryView,
  MinuteReading,
  ProcessReadings,
  Reading,
} from '../contract/state/memory.js';
import type { PoolView } from '../contract/state/pools.js';
import type { WorkerView } from '../contract/state/workers.js';
import type { TokenizedTexts } from '../inference/tokenize.js';
import type { JobService } from '../jobs/service.js';
import type { MadeKey, NewKey } from '../keys/key-register.js';
import type { Metrics } from '../metrics/metrics.js';
import type { ModelDescription } from '../models/intake/description.js';
import type { ClassificationService } from '../sessions/service.js';
import type { ReceiptFilter, RecordFilter } from '../store/reader.js';
import type { KeyCheck } from './guards/key-guard.js';

/** A filter that names the user; only the archive knows how names are hashed. */
export interface RecordQuery extends Omit<RecordFilter, 'userHash'> {
  readonly user?: string | undefined;
}

/** What doors have to know of a model before they ask it. */
export type ModelFacts = { readonly id: string; readonly dtype: string } & Pick<
  ModelDescription,
  'task' | 'labels' | 'maxTokens' | 'moderations'
>;

/** The stream to an open page. */
export interface PageStream {
  /** Takes a message of `text/event-stream`; never waits. */
  readonly send: (kind: EventKind, message: Buffer) => void;
  /** How long it has not read all that was sent to it, ms. */
  readonly stalledMs: number;
  readonly end: () => void;
}

/** What the routes need of the rest of the server, in the shapes of the contract. */
export interface HttpServices {
  readonly classification: ClassificationService;
  readonly sessions: {
    /** @throws PlimsollError TOO_MANY_SESSIONS, SHUTTING_DOWN, UNDER_PRESSURE */
    readonly open: (maxUsers: number | undefined) => Promise<SessionView>;
    /** Sessions of this run that are still remembered, the newest first. */
    readonly list: () => readonly SessionView[];
    /** Also one that other servers of the fleet have. */
    readonly find: (id: string) => Promise<SessionView | undefined>;
    /** Settles after the cleanup. @throws PlimsollError SESSION_NOT_FOUND, REDIS_UNAVAILABLE */
    readonly end: (id: string) => Promise<SessionView>;
  };
  readonly memory: {
    readonly now: () => Promise<MemoryView>;
    readonly cleanup: () => Promise<Receipt>;
    readonly recycle: () => Promise<Receipt>;
    /** Regular readings since a time, at most those of the last hour. */
    readonly readings: (sinceMs: number) => readonly Reading[];
    /** Regular readings by process since a time, at most those of the last half hour. */
    readonly processes: (sinceMs: number) => ProcessReadings;
  };
  readonly models: {
    /**
     * Facts of a model, of the default one if undefined; at once if it has been read already.
     *
     * @throws PlimsollError MODEL_NOT_FOUND, MODEL_UNUSABLE, INVALID_REQUEST
     */
    readonly facts: (name: string | undefined) => ModelFacts | Promise<ModelFacts>;
    /** A model, usable or broken. @throws PlimsollError MODEL_NOT_FOUND */
    readonly show: (id: string) => Promise<ModelDetail>;
    /** A model's labels in the order of its outputs, as it is served. */
    readonly labels: (id: string) => readonly string[] | Promise<readonly string[]>;
    /**
     * What a model sees of each text, also of one whose graph cannot be served.
     *
     * @param isWhole all tokens; else at most as many as the model takes.
     */
    readonly tokenize: (
      id: string,
      inputs: readonly string[],
      abort: Abortable,
      isWhole?: boolean,
    ) => Promise<TokenizedTexts>;
    readonly list: () => Promise<readonly ModelView[]>;
    readonly load: (id: string) => Promise<ModelView>;
    readonly unload: (id: string) => Promise<ModelView>;
  };
  readonly workers: {
    readonly list: () => readonly WorkerView[];
    readonly recycle: (id: string) => Promise<Receipt>;
  };
  /** What open pages are fed with. */
  readonly events: {
    /** @returns what ends it. @throws PlimsollError TOO_MANY_VIEWERS, SHUTTING_DOWN */
    readonly join: (page: PageStream) => () => void;
    readonly close: () => void;
  };
  /** What was kept in this run and earlier ones. Each throws PlimsollError DATABASE_UNAVAILABLE. */
  readonly archive: {
    readonly session: (id: string) => Promise<SessionView | undefined>;
    /** The newest first. */
    readonly sessions: (limit: number) => Promise<readonly SessionView[]>;
    /** Minutes since a time, the oldest first. */
    readonly readings: (sinceMs: number, limit: number) => Promise<readonly MinuteReading[]>;
    /** The newest first. */
    readonly receipts: (query: ReceiptFilter) => Promise<readonly Receipt[]>;
    /** The newest first. */
    readonly records: (query: RecordQuery) => Promise<readonly ClassificationRecord[]>;
    /** The newest first. */
    readonly pastEvents: (query: ReceiptFilter) => Promise<readonly PastEvent[]>;
    /** Users of a session, in the order in which they came. */
    readonly users: (session: string) => Promise<SessionUsers['users']>;
  };
  /** Proofs of this server that were started over HTTP. */
  readonly proofs: {
    readonly list: () => readonly ProofView[];
    /** @throws PlimsollError PROOF_RUNNING, SHUTTING_DOWN */
    readonly run: (profile: ProofProfile) => Promise<ProofView>;
    /** @throws PlimsollError PROOF_NOT_FOUND */
    readonly report: (id: string) => Promise<Buffer>;
  };
  /** Bulk classification of files. Each throws PlimsollError JOBS_UNAVAILABLE. */
  readonly jobs: Pick<JobService, 'submit' | 'show' | 'list' | 'shards' | 'cancel' | 'retry'>;
  /** Models that are fetched from a hub because somebody asked over HTTP. */
  readonly pulls: {
    readonly list: () => readonly PullView[];
    /** @throws PlimsollError PULL_NOT_FOUND */
    readonly show: (id: string) => PullView;
    /** @throws PlimsollError PULL_NOT_ALLOWED, INVALID_REQUEST, MODEL_EXISTS, TOO_MANY_PULLS, SHUTTING_DOWN */
    readonly start: (model: string) => Promise<PullView>;
    /** Settles when it has ended. @throws PlimsollError PULL_NOT_ALLOWED, PULL_NOT_FOUND */
    readonly cancel: (id: string) => Promise<PullView>;
  };
  readonly cache: {
    readonly figures: () => Promise<CacheView>;
    /** @throws PlimsollError REDIS_UNAVAILABLE */
    readonly clear: (tier: 'memory' | 'redis' | 'both') => Promise<ClearedCache>;
  };
  /** Keys of callers and their limits. */
  readonly keyCheck: KeyCheck;
  /** The keys of callers. Changes throw PlimsollError INVALID_REQUEST, KEY_EXISTS, KEY_NOT_FOUND, DATABASE_UNAVAILABLE. */
  readonly keys: {
    readonly list: () => readonly KeyView[];
    readonly create: (key: NewKey) => Promise<MadeKey>;
    readonly revoke: (name: string) => Promise<void>;
    readonly rotate: (name: string, graceMs: number) => Promise<MadeKey>;
  };
  /** The servers of the fleet. */
  readonly fleet: { readonly view: () => Promise<FleetView> };
  readonly settings: readonly SettingView[];
  /** Pools of connections to other servers. */
  readonly pools: () => readonly PoolView[];
  /** Why the server cannot take requests now; empty if it can. */
  readonly notReadyBecause: () => string;
  /** What another server's absence costs; requests are answered all the same. */
  readonly degradedBecause: () => readonly string[];
  readonly metrics: Metrics;
  readonly limits: {
    readonly maxInputs: number;
    readonly deadlineMs: number;
    readonly maxConnections: number;
    /** Of texts that run together, longer ones aside: they run alone. */
    readonly batch: { readonly maxItems: number; readonly maxTokens: number };
  };
  /** Key of the hash that stands for a caller's address. */
  readonly userSecret: string;
}
