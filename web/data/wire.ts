/** What the server sends, as this page reads it. MB are 2^20 bytes, times are ISO 8601. */

export type Pressure = 'normal' | 'elevated' | 'critical';

export interface ProcessView {
  readonly name: string;
  readonly role: string;
  readonly pid: number;
  readonly private_mb: number;
  readonly shared_mb: number;
}

export interface Figures {
  readonly server_total_mb: number;
  readonly server_used_mb: number;
  readonly server_percent: number;
  readonly private_mb: number;
  readonly pss_mb: number;
}

export interface ReceiptAction {
  readonly action: string;
  readonly model?: string;
  readonly worker?: string;
  readonly duration_ms: number;
  readonly freed_mb: number;
  readonly entries?: number;
}

export interface Receipt {
  readonly id: string;
  readonly kind: string;
  readonly cause: string;
  readonly session: string | null;
  readonly started_at: string;
  readonly duration_ms: number;
  readonly before: Figures;
  readonly after: Figures;
  readonly freed_mb: number;
  readonly freed_private_mb: number;
  readonly actions: readonly ReceiptAction[];
}

/** A session as the state shows it while it is open. */
export interface OpenSession {
  readonly id: string;
  readonly state: 'open' | 'ending' | 'ended' | 'interrupted';
  readonly max_users: number;
  readonly users: number;
  readonly requests: number;
  readonly failures: number;
  readonly p50_ms: number | null;
  readonly p99_ms: number | null;
  readonly opened_at: string;
}

export interface SessionView extends OpenSession {
  readonly ambient?: boolean;
  readonly ended_at: string | null;
  readonly end_cause: string | null;
  /** Not in what earlier versions have stored. */
  readonly taken_mb?: number | null;
  readonly cleanup: Receipt | null;
}

export interface ModelView {
  readonly id: string;
  readonly task: string | null;
  readonly labels: readonly string[];
  readonly state: string;
  /** How each worker holds it. */
  readonly workers: readonly {
    readonly worker: string;
    readonly state: 'unloaded' | 'cold' | 'hot';
  }[];
  readonly reason?: string;
  readonly source_mb: number | null;
  readonly mapped_mb: number | null;
  readonly private_mb: number | null;
  readonly load_ms: number | null;
  readonly last_used_at: string | null;
}

export interface WorkerView {
  readonly id: string;
  readonly pid: number | null;
  readonly state: string;
  readonly busy: boolean;
  readonly age_s: number;
  readonly users_since_recycle: number;
  readonly private_mb: number | null;
  readonly models: readonly string[];
}

export interface CacheView {
  readonly memory: {
    readonly entries: number;
    readonly bytes: number;
    readonly hits: number;
    readonly misses: number;
  };
  readonly redis: {
    readonly state: 'closed' | 'open' | 'trying';
    readonly reason: string | null;
    readonly hits: number;
    readonly misses: number;
    readonly failures: number;
    readonly dropped: number;
  } | null;
}

export interface PoolView {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly open: number;
  readonly idle: number;
  readonly in_use: number;
  readonly waiting: number;
  readonly recycled: number;
  readonly broken: number;
  readonly checkouts: number;
  readonly timeouts: number;
  readonly wait_ms_mean: number;
}

/** What the server's state is; one comes each second. */
export interface State {
  readonly at: string;
  readonly version: string;
  readonly server_total_mb: number;
  readonly server_used_mb: number;
  readonly load_line_mb: number;
  readonly pressure: Pressure;
  readonly users_since_recycle: number;
  readonly recycle_after_users: number;
  readonly waiting_inputs: number;
  readonly processes: readonly ProcessView[];
  readonly sessions: readonly OpenSession[];
  readonly models: readonly ModelView[];
  readonly workers: readonly WorkerView[];
  readonly cache: CacheView | null;
  readonly pools: readonly PoolView[];
}

export type MarkKind =
  | 'session_ended'
  | 'model_loaded'
  | 'model_unloaded'
  | 'worker_recycled'
  | 'receipt';

export interface Mark {
  readonly id: number;
  readonly at: string;
  readonly kind: MarkKind;
  readonly text: string;
  readonly session?: string;
  readonly model?: string;
  readonly worker?: string;
  readonly ended?: Omit<SessionView, 'cleanup'>;
  readonly receipt?: Receipt;
}

/** What has happened, as the server keeps it. */
export interface PastEvent {
  readonly at: string;
  readonly kind: string;
  readonly text: string;
  readonly model: string | null;
  readonly worker: string | null;
}

export interface Reading {
  readonly at: string;
  readonly server_used_mb: number;
  readonly load_line_mb: number;
  readonly private_mb: number;
  readonly pss_mb: number;
}

export interface Readings {
  readonly seconds: readonly Reading[];
  readonly minutes: readonly Reading[];
}

export interface ProcessReadings {
  readonly names: readonly string[];
  readonly readings: readonly {
    readonly at_ms: number;
    /** Index of the name, private MB, shared MB. */
    readonly processes: readonly (readonly [number, number, number])[];
  }[];
}

export interface Answer {
  readonly model: string;
  readonly session: string;
  readonly results: readonly (readonly { readonly label: string; readonly score: number }[])[];
  readonly truncated: readonly boolean[];
  readonly cached: readonly (false | string)[];
  readonly timing: {
    readonly queue_ms: number;
    readonly tokenize_ms: number;
    readonly run_ms: number;
    readonly total_ms: number;
  };
}

export interface Proof {
  readonly id: string;
  readonly profile: string;
  readonly state: 'running' | 'passed' | 'failed' | 'broken';
  readonly started_at: string;
  readonly ended_at: string | null;
  readonly sessions_done: number;
  readonly sessions_total: number;
  readonly report_url: string | null;
  /** Why it failed or has no verdict, in one line. */
  readonly reason: string | null;
}
