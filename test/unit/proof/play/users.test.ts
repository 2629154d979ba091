import { describe, expect, it } from 'vitest';
import { runLoad } from '../../../../src/proof/play/load.js';
import { PLANS, parseDuration, usersOf } from '../../../../src/proof/play/plan.js';
import type { RequestRow } from '../../../../src/proof/play/run.js';
import { closedLoop } from '../../../../src/proof/play/users.js';
import { startContractServer } from '../contract-server.js';

const ROW: RequestRow = {
  ...{ session: 1, user: 1, request: 1, input: 0, startMs: 0, lateMs: 0, ms: 1, status: 200 },
  ...{ ok: true, label: 'ham', expected: 'ham', cached: 'none', code: null },
};
const INPUTS = { name: 'mail.jsonl', sha256: '00', inputs: [{ text: 'lunch', label: 'ham' }] };

function optionsFor(url: string, plan: object) {
  return {
    plan: { ...PLANS.reference, ...plan },
    ...{ url, inputSet: INPUTS, seed: 1, readingIntervalMs: 20, requestTimeoutMs: 5_000 },
    ...{ runTimeoutMs: 15_000, signal: new AbortController().signal },
  };
}

describe('an open loop', () => {
  it('counts from when a request was due: what a stall held back is slow, too', async () => {
    let release: () => void = () => undefined;
    const stalled = new Promise<void>((resolve) => {
      release = resolve;
    });
    // From the 10th request on nothing is answered until 40 are there.
    const server = await startContractServer({
      hold: async (request) => {
        if (request >= 40) release();
        if (request >= 10) await stalled;
      },
    });
    const plan = { sessions: 1, users: 4, requests: 10, ratePerS: 200 };
    const run = await runLoad(optionsFor(server.url, plan));
    await server.close();
    const rows = run.requests.items;
    expect(rows).toHaveLength(40);
    const gaps = rows.slice(1).map((row, index) => row.startMs - (rows[index]?.startMs ?? 0));
    for (const gap of gaps) expect(gap).toBeCloseTo(5, 6);
    // One of the first ten waited for 30 more that were due every 5 ms; a closed loop of 4 users would hang here.
    expect(Math.max(...rows.slice(0, 10).map(({ ms }) => ms))).toBeGreaterThan(140);
    expect(rows.every((row) => row.ok && row.ms >= row.lateMs)).toBe(true);
    expect(run.sessions[0]?.users).toEqual(Array(4).fill('successful'));
  });
});

describe('a soak', () => {
  it('plays sessions until its time is over, and was not stopped', async () => {
    const server = await startContractServer();
    const plan = { ...PLANS.soak, durationMs: 300, users: 1, requests: 2 };
    const run = await runLoad(optionsFor(server.url, plan));
    await server.close();
    expect(run.stopped).toBeNull();
    expect(run.sessions.length).toBeGreaterThan(1);
    expect(run.durationMs).toBeGreaterThanOrEqual(300);
    expect(run.sessions.every(({ state }) => state === 'ended')).toBe(true);
  });
});

describe('a ramp', () => {
  it('doubles its users until the server refuses, then sees whether it is served again', async () => {
    const server = await startContractServer({
      refuse: () => {
        const session = server.classified.at(-1)?.session;
        const users = server.classified.filter((one) => one.session === session);
        return users.length > 10 ? { status: 503, code: 'QUEUE_FULL' } : undefined;
      },
    });
    const run = await runLoad(optionsFor(server.url, { ...PLANS.ramp, requests: 1 }));
    await server.close();
    const users = run.sessions.map((session) => session.users.length);
    expect(users).toEqual([1, 2, 4, 8, 16, 2]);
    expect(run.sessions.map((session) => session.users.includes('failed'))).toEqual([
      ...[false, false, false, false, true, false],
    ]);
    expect(run.stopped).toBeNull();
  });

  it('ends at the most users that it may try', async () => {
    const server = await startContractServer();
    const run = await runLoad(optionsFor(server.url, { ...PLANS.ramp, users: 5, requests: 1 }));
    await server.close();
    expect(run.sessions.map((session) => session.users.length)).toEqual([1, 2, 4, 5]);
  });

  it('has the same number of users in every session of other profiles', () => {
    expect([1, 2, 9].map((session) => usersOf(PLANS.reference, session))).toEqual([8, 8, 8]);
  });
});

describe('a duration', () => {
  it('is a whole number of seconds, minutes, hours or days', () => {
    expect(['90s', '30m', '1h', '2d'].map(parseDuration)).toEqual([
      ...[90_000, 1_800_000, 3_600_000, 172_800_000],
    ]);
    for (const wrong of ['', '5', '0s', '1.5h', '-1m', '1w', '5 m']) {
      expect(parseDuration(wrong)).toBeUndefined();
    }
  });
});

describe('users of a closed loop', () => {
  it('meet before the request in the middle, and do not wait for one who was stopped', async () => {
    const stop = new AbortController();
    const order: string[] = [];
    const outcomes = await closedLoop({
      ...{ users: 3, requests: 4, stop: stop.signal, now: () => 0, goOn: () => false },
      barrierBefore: 2,
      send: async (user, request) => {
        order.push(`${user}:${request}`);
        // The first user is far ahead of the others, and the last one never gets to the middle.
        for (let turn = 0; turn < user * 10; turn += 1) await Promise.resolve();
        return user === 2 && request === 1 ? null : ROW;
      },
    });
    expect(outcomes).toEqual(['successful', 'successful', 'unfinished']);
    const met = order.indexOf('0:2');
    expect(order.slice(0, met).sort()).toEqual(['0:0', '0:1', '1:0', '1:1', '2:0', '2:1']);
  });
});
