/** What the interface answers, as its callers know it: written here again, so that a change shows. */

export interface LabelScore {
  readonly label: string;
  readonly score: number;
}

export interface Answer {
  readonly model: string;
  readonly session: string;
  readonly user: string;
  readonly results: readonly (readonly LabelScore[])[];
  readonly truncated: readonly boolean[];
  readonly cached: readonly (false | string)[];
  readonly timing: {
    readonly queue_ms: number;
    readonly tokenize_ms: number;
    readonly run_ms: number;
    readonly total_ms: number;
  };
}

export interface Figures {
  readonly server_total_mb: number;
  readonly server_used_mb: number;
  readonly server_percent: number;
  readonly private_mb: number;
  readonly pss_mb: number;
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
  readonly actions: readonly {
    readonly action: string;
    readonly model?: string;
    readonly worker?: string;
    readonly duration_ms: number;
    readonly freed_mb: number;
    readonly entries?: number;
  }[];
}

export interface SessionView {
  readonly id: string;
  readonly state: 'open' | 'ending' | 'ended' | 'interrupted';
  readonly ambient: boolean;
  readonly max_users: number;
  readonly users: number;
  readonly requests: number;
  readonly failures: number;
  readonly p50_ms: number | null;
  readonly p99_ms: number | null;
  readonly opened_at: string;
  readonly ended_at: string | null;
  readonly end_cause: string | null;
  readonly taken_mb: number | null;
  readonly cleanup: Receipt | null;
}

export interface MemoryView {
  readonly server_total_mb: number;
  readonly server_used_mb: number;
  readonly server_percent: number;
  readonly load_line_mb: number;
  readonly pressure: string;
  readonly users_since_recycle: number;
  readonly processes: readonly {
    readonly role: string;
    readonly pid: number;
    readonly rss_mb: number;
    readonly pss_mb: number;
    readonly private_mb: number;
  }[];
}

export interface ModelView {
  readonly id: string;
  readonly task: string | null;
  readonly labels: readonly string[];
  readonly state: 'unprepared' | 'unloaded' | 'loaded' | 'broken';
  readonly reason?: string;
  readonly dtype: 'fp32' | 'fp16' | 'q8' | null;
  readonly workers: readonly {
    readonly worker: string;
    readonly state: 'unloaded' | 'cold' | 'hot';
  }[];
  readonly source_mb: number | null;
  readonly mapped_mb: number | null;
  readonly private_mb: number | null;
  readonly load_ms: number | null;
  readonly last_used_at: string | null;
}

export interface WorkerView {
  readonly id: string;
  readonly pid: number | null;
  readonly state: 'starting' | 'ready' | 'leaving' | 'gone';
  readonly busy: boolean;
  readonly age_s: number;
  readonly users_since_recycle: number;
  readonly private_mb: number | null;
  readonly models: readonly string[];
}

export interface ErrorBody {
  readonly error: { readonly code: string; readonly message: string; readonly retryable: boolean };
}
