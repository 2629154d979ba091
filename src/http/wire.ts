import type { CacheView } from '../cache/result-cache.js';
import type { ProcessesReading } from '../memory/process-ring.js';
import { freedBytes, freedPrivateBytes, type Receipt } from '../memory/receipt.js';
import type { RingReading } from '../memory/ring.js';
import type { SnapshotFigures } from '../memory/snapshot.js';
import type { PoolFigures } from '../pools/connection-pool.js';
import type { SessionAnswer } from '../sessions/service.js';
import type { SessionView } from '../sessions/session.js';
import type { StoredEvent, StoredReading, StoredRecord } from '../store/reader.js';
import type { ModelView, Tokenized, WorkerView } from './services.js';

const MB = 2 ** 20;

/** Bytes as MB (2^20) to a thousandth, about one KB. */
export function toMb(bytes: number): number {
  return Math.round((bytes / MB) * 1000) / 1000;
}

/** Milliseconds to a thousandth. */
export function toMs(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

function figuresToWire(figures: SnapshotFigures) {
  return {
    server_total_mb: toMb(figures.serverTotalBytes),
    server_used_mb: toMb(figures.serverUsedBytes),
    server_percent: Math.round(figures.serverPercent * 1000) / 1000,
    private_mb: toMb(figures.privateBytes),
    pss_mb: toMb(figures.pssBytes),
  };
}

/** A receipt as callers see it, and as the store keeps it. */
export function receiptToWire(receipt: Receipt) {
  return {
    id: receipt.id,
    kind: receipt.kind,
    cause: receipt.cause,
    session: receipt.session,
    started_at: new Date(receipt.startedAtMs).toISOString(),
    duration_ms: toMs(receipt.durationMs),
    before: figuresToWire(receipt.before),
    after: figuresToWire(receipt.after),
    freed_mb: toMb(freedBytes(receipt)),
    freed_private_mb: toMb(freedPrivateBytes(receipt)),
    actions: receipt.actions.map((action) => ({
      action: action.action,
      ...(action.model === undefined ? {} : { model: action.model }),
      ...(action.worker === undefined ? {} : { worker: action.worker }),
      duration_ms: toMs(action.durationMs),
      freed_mb: toMb(action.freedBytes),
      ...(action.entries === undefined ? {} : { entries: action.entries }),
    })),
  };
}

/** A regular reading as callers see it. */
export function readingToWire(reading: RingReading) {
  return {
    at: new Date(reading.atMs).toISOString(),
    server_total_mb: toMb(reading.serverTotalBytes),
    server_used_mb: toMb(reading.serverUsedBytes),
    load_line_mb: toMb(reading.loadLineBytes),
    private_mb: toMb(reading.privateBytes),
    pss_mb: toMb(reading.pssBytes),
    pressure: ['normal', 'elevated', 'critical'][reading.pressure] ?? 'normal',
  };
}

/** Readings by process as callers see them: names once, as there are few of them in many readings. */
export function processesToWire(readings: readonly ProcessesReading[]) {
  const names = new Map<string, number>();
  const indexOf = (name: string) => {
    const known = names.get(name) ?? names.size;
    names.set(name, known);
    return known;
  };
  const rows = readings.map(({ atMs, processes }) => ({
    at_ms: atMs,
    processes: processes.map(({ name, privateBytes, sharedBytes }) => [
      indexOf(name),
      toMb(privateBytes),
      toMb(sharedBytes),
    ]),
  }));
  return { names: [...names.keys()], readings: rows };
}

/** A minute of readings as callers see it. */
export function minuteToWire(minute: StoredReading) {
  return {
    at: new Date(minute.at_ms).toISOString(),
    readings: minute.count,
    server_total_mb: toMb(minute.server_total_bytes),
    server_used_mb: toMb(minute.server_used_mean_bytes),
    server_used_max_mb: toMb(minute.server_used_max_bytes),
    load_line_mb: toMb(minute.load_line_bytes),
    private_mb: toMb(minute.private_mean_bytes),
    private_max_mb: toMb(minute.private_max_bytes),
    pss_mb: toMb(minute.pss_mean_bytes),
    pressure: ['normal', 'elevated', 'critical'][minute.pressure_max] ?? 'normal',
  };
}

/** The record of one classification as callers see it. */
export function recordToWire(record: StoredRecord) {
  return {
    id: record.id,
    at: new Date(record.at_ms).toISOString(),
    session: record.session,
    user_hash: record.user_hash,
    model: record.model,
    input_hash: record.input_hash,
    ...(record.input === null ? {} : { input: record.input }),
    label: record.label,
    score: record.score,
    ms: record.ms,
    cached: record.tier ?? false,
  };
}

/** Something that has happened, as callers see it. */
export function eventToWire(event: StoredEvent) {
  return {
    id: event.id,
    at: new Date(event.at_ms).toISOString(),
    kind: event.kind,
    text: event.text,
    session: event.session,
    model: event.model,
    worker: event.worker,
  };
}

/** A session as callers see it, and as the store keeps it. */
export function sessionToWire(session: SessionView) {
  return {
    id: session.id,
    state: session.state,
    ambient: session.ambient,
    max_users: session.maxUsers,
    users: session.users,
    requests: session.requests,
    failures: session.failures,
    p50_ms: session.latency === null ? null : toMs(session.latency.p50Ms),
    p99_ms: session.latency === null ? null : toMs(session.latency.p99Ms),
    opened_at: new Date(session.openedAtMs).toISOString(),
    ended_at: session.endedAtMs === null ? null : new Date(session.endedAtMs).toISOString(),
    end_cause: session.endCause,
    taken_mb: mbOrNull(session.takenBytes),
    cleanup: session.cleanup === null ? null : receiptToWire(session.cleanup),
  };
}

/** Counts of the cache's tiers as callers see them; what lies in Redis is counted only where it is asked for. */
export function cacheToWire({ memory, redis }: CacheView) {
  const { entries, bytes, hits, misses, lifeLeft } = memory;
  const ofMemory = { entries, bytes, hits, misses, ttl_left_s: lifeToWire(lifeLeft) };
  if (redis === undefined) return { memory: ofMemory, redis: null };
  const { keys, reason, lifeLeft: ofRedis, ...same } = redis;
  return {
    memory: ofMemory,
    redis: {
      ...same,
      ttl_left_s: lifeToWire(ofRedis),
      reason: reason === '' ? null : reason,
      entries: keys?.entries ?? null,
      bytes: keys?.bytes ?? null,
    },
  };
}

function lifeToWire(life: CacheView['memory']['lifeLeft']) {
  return life === undefined
    ? null
    : { least: toMs(life.leastMs) / 1000, most: toMs(life.mostMs) / 1000 };
}

/** An answer as callers see it. */
export function answerToWire(answer: SessionAnswer, totalMs: number) {
  const { timing } = answer;
  return {
    model: answer.model,
    session: answer.session,
    user: answer.user,
    results: answer.results,
    truncated: answer.truncated,
    cached: answer.cached,
    timing: {
      queue_ms: toMs(timing.queueMs),
      tokenize_ms: toMs(timing.tokenizeMs),
      run_ms: toMs(timing.runMs),
      total_ms: toMs(totalMs),
    },
  };
}

/** A model as callers see it. */
export function modelToWire(model: ModelView) {
  return {
    id: model.id,
    task: model.task,
    labels: model.labels,
    state: model.state,
    ...(model.reason === undefined ? {} : { reason: model.reason }),
    dtype: model.dtype,
    workers: model.workers,
    graph: model.graph?.file ?? null,
    graph_reason: model.graph?.why ?? null,
    source_mb: mbOrNull(model.sourceBytes),
    mapped_mb: mbOrNull(model.mappedBytes),
    private_mb: mbOrNull(model.privateBytes),
    load_ms: model.loadMs === null ? null : toMs(model.loadMs),
    last_used_at: model.lastUsedAtMs === null ? null : new Date(model.lastUsedAtMs).toISOString(),
  };
}

/** The same with everything that was decided about it. */
export function modelDetailToWire(model: ModelView) {
  return { ...modelToWire(model), aliases: model.aliases, decisions: model.decisions };
}

export function tokenizedToWire({ model, maxTokens, tokenizer, texts }: Tokenized) {
  const results = texts.map((of) => ({ ...of, count: of.ids.length }));
  return { model, max_tokens: maxTokens, tokenizer, results };
}

/** The figures of a pool as callers see them. */
export function poolToWire({ inUse, waitMsMean, waitMsMax, waitSeconds: _, ...same }: PoolFigures) {
  return {
    ...same,
    in_use: inUse,
    wait_ms_mean: toMs(waitMsMean),
    wait_ms_max: toMs(waitMsMax),
  };
}

/** A worker as callers see it. */
export function workerToWire(worker: WorkerView, nowMs: number) {
  return {
    id: worker.id,
    pid: worker.pid,
    state: worker.state,
    busy: worker.busy,
    age_s: Math.max(0, Math.round((nowMs - worker.startedAtMs) / 1000)),
    users_since_recycle: worker.users,
    private_mb: mbOrNull(worker.privateBytes),
    models: worker.models,
  };
}

function mbOrNull(bytes: number | null): number | null {
  return bytes === null ? null : toMb(bytes);
}
