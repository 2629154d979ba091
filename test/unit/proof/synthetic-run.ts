/** Builds runs as the load would have collected them, with what a test wants different. */
import { PLANS, type Plan } from '../../../src/proof/play/plan.js';
import { Recorder, SessionRecorder } from '../../../src/proof/play/recorder.js';
import type {
  LoadRun,
  Reading,
  ReadingPhase,
  RequestRow,
  SessionRun,
} from '../../../src/proof/play/run.js';
import type { Receipt } from '../../../src/proof/replies.js';

export interface Shape {
  readonly sessions?: number;
  readonly users?: number;
  readonly requests?: number;
  /** Private MB after the cleanup of a session, by its number. */
  readonly restingMb?: (session: number) => number;
  /** Private MB that a session takes on top. */
  readonly takesMb?: number;
  /** Users since the last recycle after the cleanup of a session, by its number from 1. */
  readonly usersSinceRecycle?: (session: number) => number;
  /** Response time of a request in ms, by its place in the run from 0. */
  readonly ms?: (request: number) => number;
  /** Changes a session after it was built. */
  readonly change?: (session: SessionRun) => SessionRun;
  readonly changeReading?: (reading: Reading) => Reading;
  readonly changeRow?: (row: RequestRow) => RequestRow;
  readonly stopped?: string;
  readonly plan?: Partial<Plan>;
}

const TOTAL_MB = 7811.25;
const SESSION_MS = 1_000;

function reading(session: number, atMs: number, phase: ReadingPhase, privateMb: number): Reading {
  const usedMb = 700 + privateMb;
  return {
    ...{ atMs, session, phase, totalMb: TOTAL_MB, usedMb, percent: (100 * usedMb) / TOTAL_MB },
    ...{
      privateMb,
      workersMb: privateMb - 60,
      pssMb: privateMb + 21.7,
      loadLineMb: 6249,
      pressure: 'normal',
    },
    ...{ processes: 3, usersSinceRecycle: 8 * session },
  };
}

/** A receipt whose two sides differ by `freedMb`. */
export function receiptOf(session: number, beforeMb: number, freedMb: number): Receipt {
  const side = (privateMb: number) => ({
    ...{ server_total_mb: TOTAL_MB, server_used_mb: 700 + privateMb, pss_mb: privateMb + 21.7 },
    ...{ server_percent: (100 * (700 + privateMb)) / TOTAL_MB, private_mb: privateMb },
  });
  const action = { worker: 'worker-1', duration_ms: 11.75, freed_mb: freedMb };
  return {
    ...{
      id: `receipt-${session}`,
      kind: 'cleanup',
      cause: 'session ended',
      session: `session-${session}`,
    },
    ...{ started_at: '2025-08-01T10:00:00.000Z', duration_ms: 40 + session },
    ...{ before: side(beforeMb), after: side(beforeMb - freedMb) },
    ...{ freed_mb: freedMb, freed_private_mb: freedMb },
    actions: [{ action: 'unload', model: 'spam', ...action }],
  };
}

export function syntheticRun(shape: Shape = {}): LoadRun {
  const { sessions: count = 5, users = 8, requests = 3, takesMb = 40.5 } = shape;
  const restingMb = shape.restingMb ?? (() => 120.25);
  const inputs = Array.from({ length: count * users * requests }, (_, place) => ({
    text: `text ${place}`,
    label: 'spam',
  }));
  const recorder = new Recorder(inputs);
  const sessions: SessionRun[] = [];
  let place = 0;
  for (let number = 1; number <= count; number += 1) {
    const startedMs = (number - 1) * SESSION_MS;
    const rest = restingMb(number - 1);
    const high = rest + takesMb;
    const change = shape.changeReading ?? ((same: Reading) => same);
    const before = change(reading(number, startedMs, 'before session', rest));
    const during = change(reading(number, startedMs + 300, 'during session', high));
    const beforeCleanup = change(reading(number, startedMs + 900, 'before cleanup', high - 0.5));
    const after = change({
      ...reading(number, startedMs + 960, 'after cleanup', restingMb(number)),
      usersSinceRecycle: shape.usersSinceRecycle?.(number) ?? 8 * number,
    });
    const own = new SessionRecorder();
    for (const one of [before, during, beforeCleanup, after]) {
      recorder.reading(one);
      own.reading(one);
    }
    for (let index = 0; index < users * requests; index += 1) {
      const row: RequestRow = {
        ...{ session: number, user: (number - 1) * users + (index % users) + 1, input: place },
        ...{ request: Math.floor(index / users) + 1, startMs: startedMs + 10 + index, lateMs: 0 },
        ms: shape.ms?.(place) ?? 20 + (place % 13) / 3,
        ...{ status: 200, ok: true, label: 'spam', expected: 'spam', cached: 'none', code: null },
      };
      const changed = shape.changeRow?.(row) ?? row;
      recorder.request(changed);
      own.request(changed);
      place += 1;
    }
    const session: SessionRun = {
      ...{ number, id: `session-${number}`, state: 'ended', problem: null, startedMs },
      ...{ playedMs: startedMs + 905, closedMs: startedMs + 955, models: ['spam'] },
      users: Array.from({ length: users }, () => 'successful' as const),
      modelsAfter: [{ id: 'spam', state: 'unloaded', private_mb: 0 }],
      receipt: receiptOf(number, high - 0.5, high - 0.5 - restingMb(number)),
      ...{ requests: own.requests, ...own.highest, processCounts: own.processCounts },
      ...{ usersFell: own.usersFell, disturbance: null, before, beforeCleanup, after },
      otherSessions: 0,
    };
    sessions.push(shape.change?.(session) ?? session);
  }
  return {
    ...collected(recorder),
    startedAt: '2025-08-01T10:00:00.000Z',
    durationMs: count * SESSION_MS + 1.5,
    stopped: shape.stopped ?? null,
    plan: { ...PLANS.reference, sessions: count, users, requests, ...shape.plan },
    inputSet: { name: 'mail.jsonl.gz', sha256: 'ab'.repeat(32), inputs },
    sessions,
    othersCpuPercent: 1.25,
    recycleCauses: ['50 users'],
    cacheLives: [{ tier: 'memory', least_s: 7190.25, most_s: 7199.5 }],
    counters: {
      before: new Map([['plimsoll_model_unloads_total', 100]]),
      after: new Map([
        ['plimsoll_model_unloads_total', 100 + count],
        ['plimsoll_worker_recycles_total', 0],
        ['plimsoll_cache_hits_total{tier="memory"}', 7],
      ]),
    },
  };
}

/** What a run that was stopped before its first session has collected. */
export function emptyRun(): LoadRun {
  return {
    ...syntheticRun({ stopped: 'it was stopped by hand' }),
    ...{ ...collected(new Recorder([])), sessions: [], counters: { before: null, after: null } },
  };
}

function collected({ requests, requestTotals, readings, readingTotals }: Recorder) {
  return { requests, requestTotals, readings, readingTotals };
}

/** A repeatable series around 0, between −1 and 1, without a trend: golden-ratio steps. */
export function scatter(index: number): number {
  return 2 * ((index * 0.6180339887498949) % 1) - 1;
}
