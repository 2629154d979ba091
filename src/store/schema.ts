/** Times are milliseconds since 1970; `body` columns hold JSON. */
export interface Schema {
  /** Servers that write to this database, each with its last sign of life. */
  servers: {
    id: string;
    started_at_ms: number;
    seen_at_ms: number;
  };
  sessions: {
    id: string;
    state: string;
    max_users: number;
    users: number;
    requests: number;
    opened_at_ms: number;
    ended_at_ms: number | null;
    body: string;
    /** The session's server; null before servers had names. */
    server: string | null;
    /** Increases with every change. */
    revision: number;
  };
  session_users: {
    /** Session and user: a user of several requests has one row. */
    id: string;
    session: string;
    user_hash: string;
    /** Time of the first request in the session. */
    at_ms: number;
  };
  receipts: {
    id: string;
    kind: string;
    session: string | null;
    started_at_ms: number;
    body: string;
  };
  /** One row per minute and server: the ring's readings, down-sampled. */
  readings: {
    id: string;
    server: string;
    at_ms: number;
    count: number;
    server_total_bytes: number;
    load_line_bytes: number;
    server_used_mean_bytes: number;
    server_used_max_bytes: number;
    private_mean_bytes: number;
    private_max_bytes: number;
    pss_mean_bytes: number;
    pss_max_bytes: number;
    pressure_max: number;
  };
  events: {
    id: string;
    at_ms: number;
    server: string;
    kind: string;
    text: string;
    session: string | null;
    model: string | null;
    worker: string | null;
  };
  /** One row per classified input. */
  records: {
    id: string;
    at_ms: number;
    session: string;
    user_hash: string;
    model: string;
    input_hash: string;
    label: string;
    score: number;
    /** Milliseconds from the request's arrival to its answer. */
    ms: number;
    /** Cache tier that answered; null if the model ran. */
    tier: string | null;
    /** The text itself, with `records.keep_text`. */
    input: string | null;
  };
}

/** Tables that servers change at once, beside those that the recorder fills. */
export type KeySchema = {
  /** Keys of callers, revoked ones too. */
  api_keys: {
    name: string;
    /** SHA-256 of the secret, in hex. */
    digest: string;
    /** Divided by commas. */
    scopes: string;
    requests_per_second: number | null;
    inputs_per_minute: number | null;
    created_at_ms: number;
    expires_at_ms: number | null;
    revoked_at_ms: number | null;
    /** The secret before the last rotation; valid until `old_until_ms`. */
    old_digest: string | null;
    old_until_ms: number | null;
  };
  /** One row, whose number rises with every change of a key. */
  key_revision: { id: number; revision: number };
};

/** What servers tell one another; PostgreSQL only. */
export type ServerSchema = {
  /** One row for each running server; `run` is its id without the part that is new with every start. */
  fleet_servers: { id: string; run: string; told: string; seen_at_ms: number };
};

/** Bulk jobs: see jobs/queue. */
export type JobSchema = {
  jobs: {
    id: string;
    /** JSON, as `ended`. */
    request: string;
    created_at_ms: number;
    /** Length of its journal. */
    entries: number;
    /** Null while it is open. */
    ended_at_ms: number | null;
    /** The job as it ended. */
    ended: string | null;
  };
  /** What happened to each job, in order: places from 0 without a gap. */
  job_journal: { job: string; place: number; entry: string };
};

/** With SQLite alone: what machines are to do for jobs. */
export type TaskSchema = {
  job_tasks: {
    /** The job, for its shards; empty for planning and manifests. */
    lane: string;
    job: string;
    kind: 'plan' | 'shard' | 'finish';
    /** -1 if it is none. */
    shard: number;
    state: 'waiting' | 'running';
    /** Not to be given out before. */
    due_at_ms: number;
    failed_attempts: number;
    /** Machines that were lost while they had it. */
    lost_machines: number;
    reason: string | null;
    /** Name of the server that has it. */
    server: string | null;
    /** What is unique to that server among those that run. */
    owner: string | null;
    lock_until_ms: number | null;
  };
};

/** Tables that are not the recorder's, in PostgreSQL. */
export const FURTHER_TABLES: readonly (keyof KeySchema | keyof ServerSchema | keyof JobSchema)[] = [
  'api_keys',
  'key_revision',
  'fleet_servers',
  'jobs',
  'job_journal',
];
