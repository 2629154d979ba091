import { expect, test } from 'vitest';
import { receiptToWire, sessionToWire, toMb, toMs } from '../../../src/http/wire.js';
import type { SessionView } from '../../../src/sessions/session.js';
import { receipt } from '../memory/receipts.js';

const SESSION: SessionView = {
  id: 's_1',
  state: 'ended',
  ambient: true,
  maxUsers: 8,
  users: 3,
  requests: 9,
  failures: 1,
  latency: { p50Ms: 1.23456, p99Ms: 20 },
  openedAtMs: 0,
  endedAtMs: 1000,
  endCause: 'idle',
  takenBytes: 1.5 * 2 ** 20,
  cleanup: null,
};

test('MB are 2^20 bytes, and both they and milliseconds go to a thousandth', () => {
  expect(toMb(1.5 * 2 ** 20)).toBe(1.5);
  expect(toMb(1024)).toBe(0.001);
  expect(toMb(-(2 ** 20))).toBe(-1);
  expect(toMs(1.23456)).toBe(1.235);
});

test('a receipt has its figures before and after, what came back and what was done', () => {
  const actions = [
    { action: 'unload_model', model: 'm', worker: 'w', durationMs: 1.00049, freedBytes: 2 ** 20 },
    { action: 'collect_garbage', durationMs: 2, freedBytes: -(2 ** 19) },
  ];
  expect(receiptToWire(receipt({ actions }))).toEqual({
    id: 'r_1',
    kind: 'cleanup',
    cause: 'session idle',
    session: 's_1',
    started_at: '2026-01-02T03:04:05.006Z',
    duration_ms: 12.346,
    before: {
      server_total_mb: 8000,
      server_used_mb: 1000,
      server_percent: 12.5,
      private_mb: 200,
      pss_mb: 210,
    },
    after: {
      server_total_mb: 8000,
      server_used_mb: 900,
      server_percent: 11.25,
      private_mb: 120,
      pss_mb: 130,
    },
    freed_mb: 100,
    freed_private_mb: 80,
    actions: [
      { action: 'unload_model', model: 'm', worker: 'w', duration_ms: 1, freed_mb: 1 },
      { action: 'collect_garbage', duration_ms: 2, freed_mb: -0.5 },
    ],
  });
});

test('a session shows its times as dates, and its receipt when it has one', () => {
  expect(sessionToWire(SESSION)).toEqual({
    id: 's_1',
    state: 'ended',
    ambient: true,
    max_users: 8,
    users: 3,
    requests: 9,
    failures: 1,
    p50_ms: 1.235,
    p99_ms: 20,
    opened_at: '1970-01-01T00:00:00.000Z',
    ended_at: '1970-01-01T00:00:01.000Z',
    end_cause: 'idle',
    taken_mb: 1.5,
    cleanup: null,
  });
  const open = { ...SESSION, endedAtMs: null, cleanup: receipt() };
  expect(sessionToWire(open)).toMatchObject({ ended_at: null, cleanup: { id: 'r_1' } });
  expect(sessionToWire({ ...SESSION, latency: null })).toMatchObject({
    p50_ms: null,
    p99_ms: null,
  });
});
