/**
 * What the proof reads from a Plimsoll server, checked at the door.
 *
 * The proof judges the server, so it takes nothing on trust: a reply that lacks a field it needs is
 * `null` here, and counts as a failed request or a missing receipt, never as zero.
 * Sizes are in MB of 2^20 bytes, durations in milliseconds, as in the HTTP interface.
 */

/** One process of the server as `GET /v1/memory` lists it; `null` where the platform does not tell. */
export interface ProcessMemory {
  readonly role: string;
  readonly pid: number;
  readonly rss_mb: number | null;
  readonly pss_mb: number | null;
  readonly private_mb: number | null;
}

/** The reply of `GET /v1/memory`. */
export interface MemoryReply {
  readonly server_total_mb: number;
  readonly server_used_mb: number;
  readonly server_percent: number;
  readonly load_line_mb: number | null;
  readonly pressure: string;
  readonly users_since_recycle: number | null;
  readonly processes: readonly ProcessMemory[];
}

/** Memory on one side of a receipt. */
export interface ReceiptMemory {
  readonly server_total_mb: number;
  readonly server_used_mb: number;
  readonly server_percent: number;
  readonly private_mb: number | null;
  readonly pss_mb: number | null;
}

/** One thing that a cleanup did, with what it freed. */
export interface ReceiptAction {
  readonly action: string;
  readonly model: string | null;
  readonly worker: string | null;
  readonly duration_ms: number | null;
  readonly freed_mb: number | null;
}

/** The server's own record of one cleanup. `before` or `after` is null when the server left it out. */
export interface Receipt {
  readonly id: string;
  readonly kind: string;
  readonly cause: string | null;
  readonly session: string | null;
  readonly started_at: string | null;
  readonly duration_ms: number | null;
  readonly before: ReceiptMemory | null;
  readonly after: ReceiptMemory | null;
  readonly freed_mb: number | null;
  readonly freed_private_mb: number | null;
  readonly actions: readonly ReceiptAction[];
}

/** One model as `GET /v1/models` lists it. */
export interface ModelReply {
  readonly id: string;
  readonly state: string;
  readonly private_mb: number | null;
}

/** What the proof needs of an answer of `POST /v1/classify` to one input. */
export interface ClassifyReply {
  readonly model: string;
  readonly label: string;
  readonly score: number;
  readonly truncated: boolean;
  /** The tier that answered, or `none` when the model ran. */
  readonly cached: string;
}

type Fields = Readonly<Record<string, unknown>>;

function fields(value: unknown): Fields | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : null;
}

function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

function text(value: unknown): string | null {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value : null;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function parseProcess(value: unknown): ProcessMemory | null {
  const from = fields(value);
  if (from === null) return null;
  return {
    role: text(from.role) ?? 'unnamed',
    pid: number(from.pid) ?? 0,
    rss_mb: number(from.rss_mb),
    pss_mb: number(from.pss_mb),
    private_mb: number(from.private_mb),
  };
}

export function parseMemory(value: unknown): MemoryReply | null {
  const from = fields(value);
  const total = number(from?.server_total_mb);
  const used = number(from?.server_used_mb);
  const percent = number(from?.server_percent);
  if (from === null || total === null || used === null || percent === null) return null;
  return {
    server_total_mb: total,
    server_used_mb: used,
    server_percent: percent,
    load_line_mb: number(from.load_line_mb),
    pressure: text(from.pressure) ?? 'unknown',
    users_since_recycle: number(from.users_since_recycle),
    processes: list(from.processes)
      .map(parseProcess)
      .filter((process) => process !== null),
  };
}

function parseReceiptMemory(value: unknown): ReceiptMemory | null {
  const from = fields(value);
  const total = number(from?.server_total_mb);
  const used = number(from?.server_used_mb);
  const percent = number(from?.server_percent);
  if (from === null || total === null || used === null || percent === null) return null;
  return {
    server_total_mb: total,
    server_used_mb: used,
    server_percent: percent,
    private_mb: number(from.private_mb),
    pss_mb: number(from.pss_mb),
  };
}

function parseAction(value: unknown): ReceiptAction | null {
  const from = fields(value);
  const action = text(from?.action);
  if (from === null || action === null) return null;
  return {
    action,
    model: text(from.model),
    worker: text(from.worker),
    duration_ms: number(from.duration_ms),
    freed_mb: number(from.freed_mb),
  };
}

export function parseReceipt(value: unknown): Receipt | null {
  const from = fields(value);
  const id = text(from?.id);
  if (from === null || id === null) return null;
  return {
    id,
    kind: text(from.kind) ?? 'unnamed',
    cause: text(from.cause),
    session: text(from.session),
    started_at: text(from.started_at),
    duration_ms: number(from.duration_ms),
    before: parseReceiptMemory(from.before),
    after: parseReceiptMemory(from.after),
    freed_mb: number(from.freed_mb),
    freed_private_mb: number(from.freed_private_mb),
    actions: list(from.actions)
      .map(parseAction)
      .filter((action) => action !== null),
  };
}

export function parseModels(value: unknown): readonly ModelReply[] | null {
  const models = fields(value)?.models;
  if (!Array.isArray(models)) return null;
  const parsed: ModelReply[] = [];
  for (const entry of models) {
    const from = fields(entry);
    const id = text(from?.id);
    const state = text(from?.state);
    if (id === null || state === null) return null;
    parsed.push({ id, state, private_mb: number(from?.private_mb) });
  }
  return parsed;
}

/** The first result of the first input: the proof sends one text in each request. */
export function parseClassify(value: unknown): ClassifyReply | null {
  const from = fields(value);
  const model = text(from?.model);
  const best = fields(list(list(from?.results)[0])[0]);
  const label = text(best?.label);
  const score = number(best?.score);
  if (from === null || model === null || label === null || score === null) return null;
  const cached = list(from.cached)[0];
  return {
    model,
    label,
    score,
    truncated: list(from.truncated)[0] === true,
    cached: typeof cached === 'string' ? cached : 'none',
  };
}

/** What was left of the lives of results that a tier of the cache answered with, in seconds. */
export interface CacheLife {
  readonly tier: string;
  readonly least_s: number;
  readonly most_s: number;
}

/** Of the reply of `GET /v1/cache`: the tiers that have answered. */
export function parseCache(value: unknown): readonly CacheLife[] {
  return ['memory', 'redis'].flatMap((tier) => {
    const left = fields(fields(fields(value)?.[tier])?.ttl_left_s);
    const [least, most] = [number(left?.least), number(left?.most)];
    return least === null || most === null ? [] : [{ tier, least_s: least, most_s: most }];
  });
}

/** Of the reply of `GET /v1/cache`: how Redis is used; null where there is none. */
export function parseRedisState(value: unknown): string | null {
  return text(fields(fields(value)?.redis)?.state);
}

/** Of the reply of `GET /v1/workers`: the state of each. */
export function parseWorkerStates(value: unknown): readonly string[] | null {
  const workers = fields(value)?.workers;
  return Array.isArray(workers)
    ? workers.map((worker) => text(fields(worker)?.state) ?? 'unknown')
    : null;
}

/** Of the reply of `GET /v1/receipts`. */
export function parseReceipts(value: unknown): readonly Receipt[] {
  return list(fields(value)?.receipts)
    .map(parseReceipt)
    .filter((receipt) => receipt !== null);
}

export function parseSessionId(value: unknown): string | null {
  return text(fields(value)?.id);
}

export function parseEndReceipt(value: unknown): Receipt | null {
  return parseReceipt(fields(value)?.cleanup);
}

export function parseErrorCode(value: unknown): { code: string; message: string } | null {
  const error = fields(fields(value)?.error);
  const code = text(error?.code);
  return code === null ? null : { code, message: text(error?.message) ?? code };
}
