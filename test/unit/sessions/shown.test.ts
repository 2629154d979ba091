import { expect, test } from 'vitest';
import { sharedReceipt, shownReceipt } from '../../../src/memory/receipt.js';
import type { SessionView } from '../../../src/sessions/session.js';
import { shownOpen, shownSession, storedSession } from '../../../src/sessions/shown.js';
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

test('a session shows its times as dates, and its receipt when it has one', () => {
  expect(shownSession(SESSION)).toEqual({
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
  expect(shownSession(open)).toMatchObject({ ended_at: null, cleanup: { id: 'r_1' } });
  expect(shownSession({ ...SESSION, latency: null })).toMatchObject({
    p50_ms: null,
    p99_ms: null,
  });
});

test('an open session is shown without what only its end tells', () => {
  const shown = shownOpen({ ...SESSION, state: 'open' });
  expect(shown).toMatchObject({ id: 's_1', state: 'open', users: 3 });
  expect(Object.keys(shown)).not.toEqual(
    expect.arrayContaining(['cleanup', 'ended_at', 'ambient']),
  );
});

test('a session that an earlier version stored is complete, and what that did not know is null', () => {
  const { p50_ms, p99_ms, taken_mb, ...earlier } = shownSession(SESSION);
  expect([p50_ms, p99_ms, taken_mb]).not.toContain(null);
  const unknown = { p50_ms: null, p99_ms: null, taken_mb: null };
  expect(storedSession(earlier)).toEqual({ ...earlier, ...unknown });
  expect(storedSession(shownSession(SESSION))).toEqual(shownSession(SESSION));
});

test.each([
  null,
  'a session',
  {},
  { ...shownSession(SESSION), id: 7 },
  { ...shownSession(SESSION), cleanup: {} },
])('what a store holds that is no session is none: %j', (body) => {
  expect(storedSession(body)).toBeUndefined();
});

test('the session of a shard and its receipt name the job; one that was cleaned up along with it does not', () => {
  const job = { id: 'j_1', shard: 3 };
  const cleanup = receipt({ job });
  const shown = shownSession({ ...SESSION, job, cleanup });
  expect(shown).toMatchObject({ job, cleanup: { job } });
  expect(storedSession(shown)).toEqual(shown);
  const own = { cause: 'session idle', session: 's_2', job: undefined };
  expect(shownReceipt(sharedReceipt(cleanup, own))).not.toHaveProperty('job');
  expect(shownSession(SESSION)).not.toHaveProperty('job');
});
