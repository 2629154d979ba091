import { describe, expect, test, vi } from 'vitest';
import { PlimsollError } from '../../../../src/errors.js';
import type { SharedFacts } from '../../../../src/sessions/fleet/directory.js';
import { togetherOf } from '../../../../src/sessions/fleet/parts.js';
import { shownShared } from '../../../../src/sessions/shown.js';
import { during } from '../../../servers/during.js';
import { RedisServer } from '../../../servers/redis.js';
import { redis } from '../../../servers/tools.js';
import { fleetOf, Member } from './fleets.js';

const AMPLE = { timeout: 20_000, interval: 20 };

describe.skipIf(redis === undefined)('sessions of servers with one Redis', () => {
  const store = during(() => RedisServer.start(redis));
  const fleet = async (names: readonly string[], of = {}): Promise<readonly [Member, Member]> => {
    const [a, b] = await fleetOf(store().url(), names, of);
    if (a === undefined || b === undefined) throw new Error('it takes two');
    return [a, b];
  };

  test('are used on every server, and their users counted once', async () => {
    const [a, b] = await fleet(['a', 'b']);
    const id = await a.open();
    expect(await a.ask(id, 'anna')).toBeUndefined();
    expect(await b.ask(id, 'anna')).toBeUndefined();
    expect(await b.ask(id, 'bert')).toBeUndefined();
    expect(await a.ask(id, 'carl')).toBe('SESSION_FULL');
    expect(await b.ask(id, 'carl')).toBe('SESSION_FULL');
    expect(await a.ask(id, 'bert')).toBeUndefined();
    expect(b.registry.find(id)).toMatchObject({ users: 2, maxUsers: 2, ambient: false });
  });

  test('let in no more than their number, however many come at once on how many servers', async () => {
    const [a, b] = await fleet(['a', 'b']);
    const id = await a.open(8);
    const asked = Array.from({ length: 40 }, (_, user) =>
      [a, b, a].map((server) => server.ask(id, `user ${user}`)),
    );
    const codes = await Promise.all(asked.map((of) => Promise.all(of)));
    const seated = codes.filter((of) => of.every((code) => code === undefined));
    expect(seated).toHaveLength(8);
    expect(codes.filter((of) => of.every((code) => code === 'SESSION_FULL'))).toHaveLength(32);
    expect((await b.directory.describe(id))?.count).toEqual({ users: 8, over: 0 });
  });

  test('a user whom the server knows is seated at once, without a promise', async () => {
    const [a] = await fleet(['a', 'b']);
    const id = await a.open();
    const first = a.registry.enterAny(id, 'anna', 'm');
    expect(first).toBeInstanceOf(Promise);
    (await first).leave(true);
    expect(a.registry.enterAny(id, 'anna', 'm')).not.toBeInstanceOf(Promise);
    expect(a.registry.enterAny(undefined, 'anna', 'm')).not.toBeInstanceOf(Promise);
  });

  test('are shown without what another hand wrote among their parts', async () => {
    const [a, b] = await fleet(['a', 'b']);
    const id = await a.open();
    for (const server of [a, b]) {
      await server.ask(id, 'anna');
      await server.beat();
    }
    const write = "redis.call('HSET', ARGV[1] .. 'p:' .. ARGV[2], ARGV[3], ARGV[4])";
    await a.redis.run(write, [id, 'a.1:odd', '{"server": "a.1", "state": "open"}'], 5000);
    await a.redis.run(write, [id, 'b.1:odd', 'no JSON'], 5000);
    const session = await b.directory.describe(id);
    expect(session?.parts.map(({ name }) => name)).toEqual(['server a', 'server b']);
  });

  test('end on all servers, wherever they are ended, and show what each has freed', async () => {
    const [a, b] = await fleet(['a', 'b']);
    const c = new Member(store().url(), 'c');
    await c.beat();
    const id = await a.open();
    for (const server of [a, b]) await server.ask(id, 'anna');
    expect(await c.registry.endForAll(id)).toBeUndefined();
    expect(await c.ask(id, 'anna')).toBe('SESSION_ENDED');
    for (const server of [a, b]) await server.beat();
    await vi.waitFor(async () => {
      const session = await c.directory.describe(id);
      expect(session?.state).toBe('ended');
      const parts = session?.parts ?? [];
      expect(parts.map(({ name, state, cleanup }) => [name, state, cleanup?.id])).toEqual([
        ['server a', 'ended', `r of ${id} on a`],
        ['server b', 'ended', `r of ${id} on b`],
      ]);
    }, AMPLE);
    for (const server of [a, b]) expect(await server.ask(id, 'anna')).toBe('SESSION_ENDED');
    const view = a.registry.find(id);
    if (view === undefined) throw new Error('it is not known');
    const shown = shownShared(view, a.directory, await a.directory.describe(id));
    expect(shown).toMatchObject({
      state: 'ended',
      users: 1,
      requests: 2,
      end_cause: 'ended by the caller',
    });
    expect(shown.fleet?.servers.map(({ cleanup }) => cleanup?.id)).toHaveLength(2);
  });

  test('nobody knows, or can guess, is not found; another fleet has its own', async () => {
    const [a] = await fleet(['a', 'b']);
    const stranger = new Member(store().url(), 'x', { secret: 'another' });
    await stranger.beat();
    const id = await a.open();
    expect(await stranger.ask(id, 'anna')).toBe('SESSION_NOT_FOUND');
    await expect(stranger.registry.endForAll(id)).rejects.toMatchObject({
      code: 'SESSION_NOT_FOUND',
    });
    expect(await a.ask('s_0123456789', 'anna')).toBe('SESSION_NOT_FOUND');
    expect(await stranger.members.list()).toHaveLength(1);
  });

  test('hold users as keyed hashes, in Redis and for each session anew', async () => {
    const [a] = await fleet(['a', 'b']);
    const hashes = [a.redis.userHash('s_1', 'anna'), a.redis.userHash('s_2', 'anna')];
    expect(new Set(hashes).size).toBe(2);
    const other = new Member(store().url(), 'y', { secret: 'another' });
    expect(hashes).not.toContain(other.redis.userHash('s_1', 'anna'));
    for (const hash of hashes) expect(hash).toMatch(/^[\w-]{22}$/);
  });

  test('stay open while one server is busy, and end idle when all are', async () => {
    const [a, b] = await fleet(['a', 'b'], { idleTimeoutMs: 400 });
    const id = await a.open();
    await a.ask(id, 'anna');
    await b.ask(id, 'bert');
    const seat = await b.registry.enterAny(id, 'bert', 'm');
    const idle = await a.open();
    // Takes some seconds after a first heartbeat: until then nothing is ended, as Redis may have been away.
    await vi.waitFor(async () => {
      for (const server of [a, b]) await server.beat();
      expect(a.registry.find(idle)).toMatchObject({ state: 'ended', endCause: 'idle' });
    }, AMPLE);
    expect(a.registry.find(id)?.state).toBe('open');
    seat.leave(true);
    await vi.waitFor(async () => {
      for (const server of [a, b]) await server.beat();
      for (const { registry } of [a, b]) {
        expect(registry.find(id)).toMatchObject({ state: 'ended', endCause: 'idle' });
      }
    }, AMPLE);
  }, 30_000);

  test('go on everywhere if they ended idle while a server that used them was cut off', async () => {
    const [a, b] = await fleet(['a', 'b'], { idleTimeoutMs: 400, secret: 'of one cut off' });
    const id = await a.open(3);
    for (const server of [a, b]) await server.ask(id, 'anna');
    for (const server of [a, b]) await server.beat();
    const seat = await b.registry.enterAny(id, 'anna', 'm');
    b.redis.lost('cut off');
    expect(await b.ask(id, 'bert')).toBeUndefined();
    await vi.waitFor(async () => {
      await a.beat();
      expect(a.registry.find(id)).toMatchObject({ state: 'ended', endCause: 'idle' });
    }, AMPLE);
    expect(await a.ask(id, 'anna')).toBe('SESSION_ENDED');
    expect(await b.beat()).toBe(true);
    expect(b.registry.find(id)?.state).toBe('open');
    const session = await b.directory.describe(id);
    expect(session).toMatchObject({ state: 'open', cause: null, endedAtMs: null });
    expect(session?.count).toEqual({ users: 2, over: 0 });
    for (const user of ['bert', 'anna']) expect(await b.ask(id, user)).toBeUndefined();
    // The part here ended with what was taken for the end of all.
    expect(await a.ask(id, 'carl')).toBeUndefined();
    expect(await a.ask(id, 'dora')).toBe('SESSION_FULL');
    seat.leave(true);
    await vi.waitFor(async () => {
      for (const server of [a, b]) await server.beat();
      for (const { registry } of [a, b]) expect(registry.find(id)?.endCause).toBe('idle');
    }, AMPLE);
    // Nobody has used it since.
    for (const server of [a, b]) expect(await server.ask(id, 'anna')).toBe('SESSION_ENDED');
    expect(await a.registry.endForAll(id)).toMatchObject({ state: 'ended', endCause: 'idle' });
    a.redis.lost('cut off');
    expect(await a.ask(id, 'anna')).toBe('SESSION_ENDED');
    expect(await a.registry.endForAll(id)).toMatchObject({ state: 'ended', endCause: 'idle' });
  }, 30_000);

  test('do not go on if a caller ended them, whoever still uses them', async () => {
    const [a, b] = await fleet(['a', 'b']);
    const id = await a.open();
    const seat = await b.registry.enterAny(id, 'anna', 'm');
    await a.registry.endForAll(id);
    await b.beat();
    expect(b.registry.find(id)?.state).toBe('ending');
    seat.leave(true);
    expect(await b.directory.describe(id)).toMatchObject({ state: 'ended' });
  });

  test('seat nobody whom a server refuses for itself', async () => {
    const [a, b] = await fleet(['a', 'b']);
    const id = await a.open();
    const users = async () => (await a.directory.describe(id))?.count.users;
    const refuse = () => {
      throw new PlimsollError('MEMORY_PRESSURE', 'close to the line');
    };
    b.admit = refuse;
    expect(await b.ask(id, 'anna')).toBe('MEMORY_PRESSURE');
    expect(await users()).toBe(0);
    // Between the question and the reply.
    const late = () => {
      let asked = 0;
      b.admit = () => {
        asked += 1;
        if (asked > 1) refuse();
      };
    };
    late();
    expect(await b.ask(id, 'anna')).toBe('MEMORY_PRESSURE');
    expect(await users()).toBe(0);
    await a.ask(id, 'anna');
    late();
    expect(await b.ask(id, 'anna')).toBe('MEMORY_PRESSURE');
    expect(await users()).toBe(1);
    b.admit = () => undefined;
    expect(await b.ask(id, 'bert')).toBeUndefined();
    // Who is in it goes on, also where no new session opens.
    b.admit = refuse;
    expect(await b.ask(id, 'anna')).toBeUndefined();
    expect(await users()).toBe(2);
    const stopped = new Member(store().url(), 'stopped');
    await stopped.beat();
    await stopped.registry.stop(100);
    const another = await a.open();
    expect(await stopped.ask(another, 'anna')).toBe('SHUTTING_DOWN');
    expect((await a.directory.describe(another))?.count.users).toBe(0);
    const many = new Member(store().url(), 'many');
    await many.beat();
    for (let open = 0; open < 10; open += 1) many.registry.open();
    expect(await many.ask(another, 'anna')).toBe('TOO_MANY_SESSIONS');
    expect((await a.directory.describe(another))?.count.users).toBe(0);
  });

  test('go on when a server stops, and end with the last one', async () => {
    const [a, b] = await fleet(['a', 'b'], { secret: 'of two servers' });
    const id = await a.open();
    await a.ask(id, 'anna');
    await b.ask(id, 'anna');
    await a.registry.stop(1000);
    await a.members.leave(a.id);
    expect(a.registry.find(id)).toMatchObject({ state: 'ended', endCause: 'server stopped' });
    expect(await b.ask(id, 'bert')).toBeUndefined();
    expect(await b.directory.describe(id)).toMatchObject({ state: 'open', count: { users: 2 } });
    await b.registry.stop(1000);
    const session = await a.directory.describe(id);
    expect(session).toMatchObject({ state: 'ended', cause: 'server stopped' });
    expect(session?.parts.map(({ state }) => state)).toEqual(['ended', 'ended']);
  });
});

describe.skipIf(redis === undefined)('while Redis does not answer', () => {
  const store = during(() => RedisServer.start(redis));

  test('each server goes on with what it knows; when it is back, who was let in beyond is counted', async () => {
    const [a, b] = await fleetOf(store().url(), ['a', 'b']);
    if (a === undefined || b === undefined) throw new Error('it takes two');
    const id = await a.open();
    await a.ask(id, 'anna');
    await b.ask(id, 'anna');
    await store().kill();
    // Of each two users.
    expect(await a.ask(id, 'bert')).toBeUndefined();
    expect(await a.ask(id, 'anna')).toBeUndefined();
    expect(await a.ask(id, 'carl')).toBe('SESSION_FULL');
    expect(await b.ask(id, 'dora')).toBeUndefined();
    for (const server of [a, b]) {
      expect(await server.beat()).toBe(false);
      expect(server.directory.away).not.toBe('');
    }
    const [held] = b.registry.held();
    expect(held?.users()).toEqual(['anna', 'dora']);
    await store().restart();
    for (const server of [a, b]) await vi.waitUntil(() => server.beat(), AMPLE);
    expect([a.over, b.over]).toEqual([[], [1]]);
    await a.beat();
    expect([a.over, b.over]).toEqual([[], [1]]);
    const session = await a.directory.describe(id);
    expect(session).toMatchObject({ state: 'open', count: { users: 3, over: 1 } });
    expect(await a.ask(id, 'erik')).toBe('SESSION_FULL');
    expect(await a.ask(id, 'dora')).toBeUndefined();
    expect(a.states).toEqual(['away', 'back']);
    const view = a.registry.find(id);
    const shown = view && shownShared(view, a.directory, session);
    expect(shown?.fleet).toMatchObject({ state: 'shared', reason: null, over_admitted: 1 });
  });

  test('a session that is ended meanwhile ends on the others when it is back', async () => {
    const [a, b] = await fleetOf(store().url(), ['a', 'b']);
    if (a === undefined || b === undefined) throw new Error('it takes two');
    const id = await a.open();
    await b.ask(id, 'anna');
    await store().kill();
    expect(await a.registry.endForAll(id)).toMatchObject({ state: 'ended' });
    expect(await b.ask(id, 'anna')).toBeUndefined();
    await store().restart();
    // Whoever comes first.
    await vi.waitUntil(() => b.beat(), AMPLE);
    await vi.waitUntil(() => a.beat(), AMPLE);
    await b.beat();
    await vi.waitFor(() => expect(b.registry.find(id)?.state).toBe('ended'), AMPLE);
    const parts = (await b.directory.describe(id))?.parts ?? [];
    expect(parts.map(({ name, cleanup }) => [name, cleanup?.session])).toEqual([
      ['server a', id],
      ['server b', id],
    ]);
  });

  test('a session that is not known here may be known to the database; else it is asked for again', async () => {
    const [a] = await fleetOf(store().url(), ['a']);
    const facts = new Map<string, SharedFacts>();
    const [b] = await fleetOf(store().url(), ['b'], { remembered: async (id) => facts.get(id) });
    if (a === undefined || b === undefined) throw new Error('it takes two');
    const id = await a.open(5);
    await store().kill();
    expect(await b.ask(id, 'anna')).toBe('REDIS_UNAVAILABLE');
    await expect(b.registry.endForAll(id)).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE' });
    const [held] = a.registry.held();
    if (held !== undefined) facts.set(id, held.facts);
    expect(await b.ask(id, 'anna')).toBeUndefined();
    expect(b.registry.find(id)).toMatchObject({ state: 'open', maxUsers: 5 });
    await store().restart();
    for (const server of [a, b]) await vi.waitUntil(() => server.beat(), AMPLE);
    expect(await a.directory.describe(id)).toMatchObject({ count: { users: 1, over: 0 } });
  });
});

test('what servers did in a session is put together', () => {
  const part = {
    ...({ server: 'a.1', name: 'a', state: 'open', users: 2, requests: 5, failures: 1 } as const),
    ...{ p50_ms: 1, p99_ms: 2, joined_at: '2026-01-01T00:00:00.000Z' },
    ...{ ended_at: null, end_cause: null, cleanup: null },
  };
  const session = {
    ...({ id: 's_1', state: 'open', max_users: 8, users: 2, requests: 5, failures: 1 } as const),
    ...{ p50_ms: 1, p99_ms: 2, opened_at: part.joined_at, ambient: false },
    ...{ ended_at: null, end_cause: null, taken_mb: null, cleanup: null },
  };
  const facts = { id: 's_1', maxUsers: 8, openedAtMs: 0, idleTimeoutMs: 1 };
  const other = { ...part, server: 'b.1', name: 'b', requests: 7, failures: 0 };
  const older = { ...part, requests: 3 };
  const fleet = { facts, state: 'open', cause: null, endedAtMs: null } as const;
  const both = { ...fleet, count: { users: 4, over: 0 }, parts: [other, older] };
  const shown = togetherOf({ session, part, over: 0 }, both, '');
  expect(shown).toMatchObject({ state: 'open', users: 4, requests: 12, failures: 1 });
  expect(shown.fleet?.servers.map(({ requests }) => requests)).toEqual([7, 5]);
  const over = { ...both, state: 'ended', cause: 'idle', endedAtMs: 5 } as const;
  expect(togetherOf({ session, part, over: 0 }, over, '')).toMatchObject({
    state: 'ending',
    end_cause: 'idle',
  });
  const away = togetherOf({ session, part, over: 2 }, undefined, 'gone');
  expect(away.fleet).toMatchObject({ state: 'alone', reason: 'gone', over_admitted: 2 });
});
