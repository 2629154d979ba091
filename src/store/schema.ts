/** Times are milliseconds since 1970; `body` columns hold JSON. */
export interface Schema {
  /** The servers that write here, each with the time of its last sign of life. */
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
    /** Whose session it is; null before there were names. */
    server: string | null;
    /** Rises with every change. */
    revision: number;
  };
  session_users: {
    /** Session and user, so that one who comes again is not kept twice. */
    id: string;
    session: string;
    user_hash: string;
    /** First request in the session. */
    at_ms: number;
  };
  receipts: {
    id: string;
    kind: string;
    session: string | null;
    started_at_ms: number;
    body: string;
  };
  /** One row a minute and server: the ring's readings, down-sampled. */
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
  /** One row for each input that was answered. */
  records: {
    id: string;
    at_ms: number;
    session: string;
    user_hash: string;
    model: string;
    input_hash: string;
    label: string;
    score: number;
    /** From the request's arrival to its answer. */
    ms: number;
    /** Tier of the cache that knew it; null if it was computed. */
    tier: string | null;
    /** The text itself, if it is to be kept. */
    input: string | null;
  };
}
