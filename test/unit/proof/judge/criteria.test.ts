import { describe, expect, it } from 'vitest';
import { analyse } from '../../../../src/proof/judge/analyse.js';
import { judge } from '../../../../src/proof/judge/criteria/criteria.js';
import type { Criterion, Held } from '../../../../src/proof/judge/criteria/criterion.js';
import type { SessionRun } from '../../../../src/proof/play/run.js';
import { receiptOf, type Shape, scatter, syntheticRun } from '../synthetic-run.js';

function judged(shape: Shape, expectedAccuracy: number | null = null) {
  const run = syntheticRun(shape);
  const judgement = judge(analyse(run), {
    ...{ stopped: run.stopped, profile: run.plan.profile, expectedAccuracy, comparison: null },
  });
  const of = (id: string): Criterion => {
    const found = judgement.criteria.find((one) => one.id === id);
    if (found === undefined) throw new Error(`there is no criterion ${id}`);
    return found;
  };
  return { ...judgement, of };
}

/** Changes only the session of that number. */
function inSession(number: number, change: (session: SessionRun) => Partial<SessionRun>) {
  return (session: SessionRun): SessionRun =>
    session.number === number ? { ...session, ...change(session) } : session;
}

/** What the fixture worker keeps of each session. */
const LEAK_MB = 200 / 1024;

const CASES: readonly {
  name: string;
  shape: Shape;
  verdict: 'passed' | 'failed';
  id: string;
  held: Held;
  value: RegExp;
}[] = [
  {
    name: 'a failing user',
    shape: {
      changeRow: (row) =>
        row.session === 2 && row.user === 9
          ? { ...row, ok: false, status: 503, code: 'QUEUE_FULL' }
          : row,
      change: inSession(2, ({ users }) => ({ users: ['failed', ...users.slice(1)] })),
    },
    verdict: 'failed',
    id: 'users',
    held: false,
    value: /^39 of 40 users; 3 requests failed: QUEUE_FULL$/,
  },
  {
    name: 'a session that was not opened',
    shape: {
      change: inSession(3, ({ users }) => ({
        ...{
          id: null,
          state: 'not opened',
          problem: 'UNDER_PRESSURE: later',
          receipt: null,
          models: [],
        },
        ...{ users: users.map(() => 'failed' as const), modelsAfter: null },
      })),
    },
    verdict: 'failed',
    id: 'users',
    held: false,
    value: /session 3 was not opened: UNDER_PRESSURE: later/,
  },
  {
    name: 'a missing receipt',
    shape: { change: inSession(5, () => ({ receipt: null, problem: 'the reply has no receipt' })) },
    verdict: 'failed',
    id: 'cleanups',
    held: false,
    value: /^4 of 5; session 5: the reply has no receipt$/,
  },
  {
    name: 'a receipt without its after',
    shape: { change: inSession(1, () => ({ receipt: { ...receiptOf(1, 160, 40), after: null } })) },
    verdict: 'failed',
    id: 'cleanups',
    held: false,
    value: /^4 of 5; session 1: the receipt lacks its before or its after$/,
  },
  {
    name: 'a model that is still loaded',
    shape: {
      change: inSession(4, () => ({ modelsAfter: [{ id: 'spam', state: 'hot', private_mb: 9 }] })),
    },
    verdict: 'failed',
    id: 'models',
    held: false,
    value: /after 4 of 5 sessions; session 4: spam \(hot\)/,
  },
  {
    name: 'a model that the list does not name',
    shape: { change: inSession(4, () => ({ modelsAfter: [] })) },
    verdict: 'failed',
    id: 'models',
    held: false,
    value: /session 4: spam \(not listed\)/,
  },
  {
    name: 'a model that stays while another session works with it',
    shape: {
      change: inSession(2, () => ({
        modelsAfter: [{ id: 'spam', state: 'cold', private_mb: 9 }],
        otherSessions: 1,
      })),
    },
    verdict: 'passed',
    id: 'models',
    held: true,
    value: /session 2: spam \(cold\), while 1 session of other callers was at work/,
  },
  {
    name: 'models that stay in every session because others work with them',
    shape: {
      change: (session) => ({
        ...session,
        modelsAfter: [{ id: 'spam', state: 'cold', private_mb: 9 }],
        otherSessions: 2,
      }),
    },
    verdict: 'passed',
    id: 'models',
    held: 'cannot tell',
    value: /after 0 of 5 sessions/,
  },
  {
    name: 'a list of models that could not be read',
    shape: { change: inSession(2, () => ({ modelsAfter: null })) },
    verdict: 'failed',
    id: 'models',
    held: 'cannot tell',
    value: /session 2: the list of models could not be read/,
  },
  {
    name: 'slow answers',
    shape: { ms: () => 84.5 },
    verdict: 'failed',
    id: 'response',
    held: false,
    value: /^84\.5 ms; other programs took 1\.25 % of the machine's CPU time$/,
  },
  {
    name: 'answers right at the threshold',
    shape: { ms: () => 84 },
    verdict: 'passed',
    id: 'response',
    held: true,
    value: /^84 ms$/,
  },
  {
    name: 'a slow cleanup by its receipt',
    shape: {
      change: inSession(2, () => ({ receipt: { ...receiptOf(2, 160, 40), duration_ms: 601 } })),
    },
    verdict: 'failed',
    id: 'cleanup-time',
    held: false,
    value: /slowest 601 ms, in session 2/,
  },
  {
    name: 'a cleanup that took longer than its receipt says',
    shape: { change: inSession(3, ({ playedMs }) => ({ closedMs: playedMs + 2_500 })) },
    verdict: 'failed',
    id: 'cleanup-time',
    held: false,
    value: /slowest 2,500 ms, in session 3/,
  },
  {
    name: 'a cleanup that gave nothing back',
    shape: { sessions: 1, restingMb: (session) => 120 + 40 * session, takesMb: 40 },
    verdict: 'failed',
    id: 'gives-back',
    held: false,
    value: /worst 0 % \(session 1\).*; freed nothing in session 1$/,
  },
  {
    name: 'readings in the middle of a recycle',
    shape: {
      sessions: 2,
      changeReading: (reading) =>
        reading.session === 2 && reading.phase === 'after cleanup'
          ? { ...reading, processes: 4, privateMb: 190 }
          : reading,
    },
    verdict: 'passed',
    id: 'gives-back',
    held: true,
    value: /^median 100 %, worst 100 % \(session 1\) of what 1 session took$/,
  },
  {
    name: 'sessions that take next to nothing',
    shape: { takesMb: 1 },
    verdict: 'passed',
    id: 'gives-back',
    held: 'cannot tell',
    value: /no session took 4 MB or more/,
  },
  {
    name: 'a leak of 200 KB a session in 60 sessions',
    shape: { sessions: 60, restingMb: (n) => 120 + LEAK_MB * n + 0.3 * scatter(n) },
    verdict: 'failed',
    id: 'leak',
    held: false,
    value:
      /^memory grows by more than the 107 KB a session that warming up can explain: slope (19|20)\d KB/,
  },
  {
    name: 'no leak in 30 sessions',
    shape: { sessions: 30, restingMb: (n) => 120 + 0.3 * scatter(n) },
    verdict: 'passed',
    id: 'leak',
    held: true,
    value: /^no evidence of a leak larger than [\d.]+ KB a session/,
  },
  {
    name: 'growth that levels off only after the warm-up, as a heap was measured to do',
    shape: {
      sessions: 200,
      restingMb: (n) => 78 + 30 * Math.min(1, n / 120) + scatter(n),
      takesMb: 20,
    },
    verdict: 'passed',
    id: 'leak',
    held: true,
    value: /^memory grew and levelled off, no evidence of a leak larger than/,
  },
  {
    name: 'growth of which the later half says too little',
    shape: {
      sessions: 30,
      restingMb: (n) => 120 + (n < 18 ? 2 * n : 36 + 8 * scatter(n)),
    },
    verdict: 'passed',
    id: 'leak',
    held: 'cannot tell',
    value: /^memory grew, and it cannot be told whether it goes on/,
  },
  {
    name: 'a leak in workers that recycles take back',
    shape: {
      sessions: 60,
      restingMb: (n) => 120 + (n < 50 ? LEAK_MB * n : LEAK_MB * (n - 50)) + 0.1 * scatter(n),
      usersSinceRecycle: (session) => session % 50,
    },
    verdict: 'failed',
    id: 'leak',
    held: false,
    value: /^between recycles \(sessions 1 to 49\) memory grows by more than the 128 KB a session/,
  },
  {
    name: 'growth while warming up only',
    shape: { sessions: 30, restingMb: (n) => 120 + 5 * Math.min(n, 6) + 0.3 * scatter(n) },
    verdict: 'passed',
    id: 'leak',
    held: true,
    value: /^no evidence of a leak/,
  },
  {
    name: 'readings too scattered to exclude a leak',
    shape: { sessions: 30, restingMb: (n) => 120 + 30 * scatter(n), takesMb: 200 },
    verdict: 'passed',
    id: 'leak',
    held: 'cannot tell',
    value: /too scattered, or the sessions too few, to tell/,
  },
  {
    name: 'too few sessions, though memory grows in each',
    shape: { sessions: 28, restingMb: (n) => 120 + n },
    verdict: 'passed',
    id: 'leak',
    held: 'cannot tell',
    value: /^28 sessions .*, 23 after the warm-up of 5: too few to tell, it takes 24$/,
  },
  {
    name: 'no private memory in the readings',
    shape: {
      sessions: 12,
      change: (session) => ({ ...session, before: null, beforeCleanup: null, after: null }),
    },
    verdict: 'passed',
    id: 'leak',
    held: 'cannot tell',
    value: /^0 sessions/,
  },
  {
    name: 'a stopped run',
    shape: {
      stopped: 'it was stopped by hand',
      change: inSession(5, ({ users }) => ({
        ...{ state: 'stopped', users: ['unfinished', ...users.slice(1)] },
      })),
    },
    verdict: 'failed',
    id: 'finished',
    held: false,
    value: /5 of 5 sessions begun; it was stopped by hand/,
  },
];

describe('criteria', () => {
  it('pass a good run, and leave the leak open after five sessions', () => {
    const { verdict, criteria } = judged({});
    expect(verdict).toBe('passed');
    const held = Object.fromEntries(criteria.map((one) => [one.id, one.held]));
    expect(held).toEqual({
      ...{ finished: true, users: true, cleanups: true, models: true, response: true },
      ...{ 'cleanup-time': true, 'cleanup-cost': true, leak: 'cannot tell', 'gives-back': true },
    });
  });

  it.each(CASES)('judge $name', ({ shape, verdict, id, held, value }) => {
    const judgement = judged(shape);
    const criterion = judgement.of(id);
    expect(criterion.value).toMatch(value);
    expect(criterion.held).toBe(held);
    expect(judgement.verdict).toBe(verdict);
  });

  it('hold no time against a server whose machine was busy with other programs', () => {
    const run = { ...syntheticRun({ ms: () => 500 }), othersCpuPercent: 40.5 };
    const options = { stopped: null, profile: 'reference', expectedAccuracy: null } as const;
    const { verdict, criteria } = judge(analyse(run), { ...options, comparison: null });
    expect(verdict).toBe('passed');
    expect(criteria.find(({ id }) => id === 'response')).toMatchObject({
      held: 'cannot tell',
      value: "500 ms; other programs took 40.50 % of the machine's CPU time",
    });
  });

  it('hold no time against another model than the bundled one', () => {
    const change = (session: SessionRun) => ({
      ...session,
      models: ['bert'],
      modelsAfter: [{ id: 'bert', state: 'unloaded', private_mb: 0 }],
    });
    const { verdict, of } = judged({ ms: () => 500, change });
    expect([verdict, of('response').held]).toEqual(['passed', 'cannot tell']);
    expect(of('response').value).toContain('here bert answered');
  });

  it('fail cleanups that their callers notice', () => {
    const slowFirst = (place: number) => (place % 320 < 8 ? 400 + (place % 5) : 20 + (place % 7));
    const { verdict, of } = judged({ ms: slowFirst, requests: 40 });
    expect([verdict, of('cleanup-cost').held]).toEqual(['failed', false]);
    expect(of('cleanup-cost').value).toMatch(/^they are slower: 3\d\d ms, interval /);
  });

  it('say of cleanups that cost something how much, and that nobody notices', () => {
    const slowFirst = (place: number) => (place % 24 < 8 ? 60 + (place % 5) : 20 + (place % 7));
    const { of } = judged({ ms: slowFirst });
    expect(of('cleanup-cost').held).toBe(true);
    expect(of('cleanup-cost').value).toMatch(/^they are slower: 39 ms, interval .* p below 0\.001/);
  });

  it('fail only what is at fault', () => {
    const { criteria } = judged({ ms: () => 500 });
    expect(criteria.filter((one) => one.held === false).map((one) => one.id)).toEqual(['response']);
  });

  it('cannot tell of users that a stop cut short', () => {
    const { of } = judged({
      stopped: 'it was stopped by hand',
      change: inSession(5, ({ users }) => ({ users: ['unfinished', ...users.slice(1)] })),
    });
    expect(of('users').held).toBe('cannot tell');
    expect(of('users').value).toContain('1 user cut short by the stop');
  });

  it('name a receipt that freed nothing though the readings fell', () => {
    const run = syntheticRun({ change: inSession(2, () => ({ receipt: receiptOf(2, 160, -1) })) });
    expect(analyse(run).cleanup.freed_nothing).toEqual([2]);
  });

  describe('on labels', () => {
    const wrongEvery = (n: number): Shape => ({
      changeRow: (row) => ({ ...row, label: row.input % n === 0 ? 'ham' : 'SPAM' }),
    });

    it('are asked only when an accuracy is expected', () => {
      expect(judged(wrongEvery(2)).criteria.map((one) => one.id)).not.toContain('labels');
    });

    it('hold when the interval reaches the expectation', () => {
      expect(judged(wrongEvery(20), 0.96).of('labels').held).toBe(true);
      expect(judged(wrongEvery(20), 0.96).of('labels').value).toMatch(/^95 % \(114 of 120\)/);
    });

    it('do not hold when the interval lies below it', () => {
      const { of, verdict } = judged(wrongEvery(4), 0.97);
      expect(of('labels').held).toBe(false);
      expect(verdict).toBe('failed');
    });
  });
});

describe('figures', () => {
  it('count repeats, tiers and failures', () => {
    const run = syntheticRun({
      changeRow: (row) => {
        if (row.input === 3) return { ...row, ok: false, status: 0, code: 'TIMEOUT', cached: null };
        return row.input < 10 ? { ...row, input: 0, cached: 'memory' } : row;
      },
    });
    const { load } = analyse(run);
    expect(load.requests_sent).toBe(120);
    expect(load.repeats).toBe(8);
    expect(load.answered_by).toEqual([
      { tier: 'none', requests: 110 },
      { tier: 'memory', requests: 9 },
    ]);
    expect(load.failures).toEqual([{ code: 'TIMEOUT', requests: 1 }]);
  });

  it('set each first request after a cleanup against the others, and see that they are slower', () => {
    const slowFirst = (place: number) => (place % 24 < 8 ? 60 + (place % 5) : 20 + (place % 7));
    const { speed } = analyse(syntheticRun({ ms: slowFirst }));
    // Eight users in each of the sessions 2 to 5; the first session's first requests follow no cleanup.
    expect(speed.after_cleanup?.count).toBe(32);
    // The second of three requests is the one that all users send at once.
    expect(speed.others?.count).toBe(40);
    expect(speed.shift_ms).toBeGreaterThan(30);
    expect(speed.p).toBeLessThan(1e-6);
  });

  it('read features from the growth of counters alone', () => {
    const states = Object.fromEntries(
      analyse(syntheticRun()).features.map((one) => [one.feature, one.state]),
    );
    expect(states['Model unloading']).toBe('active');
    expect(states['Process recycling']).toBe('not exercised in this run');
    expect(states['Result cache in process']).toBe('active');
    expect(states['Result cache in Redis']).toBe('not exercised in this run');
    expect(states.Batching).toBe('not present in this server');
  });

  it('say that features are unknown without counters', () => {
    const run = { ...syntheticRun(), counters: { before: null, after: null } };
    for (const { state } of analyse(run).features) expect(state).toMatch(/^unknown/);
  });
});
