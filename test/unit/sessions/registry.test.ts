import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Receipt } from '../../../src/memory/receipt.js';
import type { StillUsed } from '../../../src/sessions/cleanups.js';
import { type RegistryOptions, SessionRegistry } from '../../../src/sessions/registry.js';
import type { SessionView } from '../../../src/sessions/session.js';
import { receipt } from '../memory/receipts.js';

const IDLE_MS = 30_000;

interface Cleanup {
  readonly session: SessionView;
  readonly stillUsed: StillUsed;
  readonly isAwaited: boolean;
  readonly done: () => void;
  readonly fail: (error: Error) => void;
}

/** A registry whose cleanups the test finishes, or that finish at once. */
class Fixture {
  readonly cleanups: Cleanup[] = [];
  readonly changes: string[] = [];
  readonly users: string[] = [];
  readonly errors: unknown[] = [];
  readonly registry: SessionRegistry;

  constructor(changes: Partial<RegistryOptions> & { readonly byHand?: boolean } = {}) {
    this.registry = new SessionRegistry({
      maxUsers: 2,
      maxOpen: 10,
      idleTimeoutMs: IDLE_MS,
      admit: () => undefined,
      cleanup: (session, stillUsed, isAwaited) =>
        new Promise<Receipt>((resolve, reject) => {
          const done = () => resolve(receipt({ id: `r of ${session.id}`, session: session.id }));
          this.cleanups.push({ session, stillUsed, isAwaited, done, fail: reject });
          if (!changes.byHand) done();
        }),
      shareReceipt: (of, { id }) => ({ ...of, id: `r of ${id}`, session: id }),
      onChange: ({ id, state, users }) => this.changes.push(`${id} ${state} ${users}`),
      onUser: (session, user) => this.users.push(`${user} in ${session}`),
      onError: (_line, error) => this.errors.push(error),
      ...changes,
    });
    this.registry.start();
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance', 'Date'] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** Lets promises that can settle do so. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe('a session', () => {
  test('tells, once it has ended, what private memory rose by since it opened', async () => {
    let readBytes: number | undefined;
    const { registry } = new Fixture({ privateBytes: () => readBytes });
    const unknown = registry.open();
    readBytes = receipt().before.privateBytes - 5000;
    const known = registry.open();
    readBytes += 1000;
    expect(known.takenBytes).toBeNull();
    expect((await registry.end(known.id)).takenBytes).toBe(5000);
    expect((await registry.end(unknown.id)).takenBytes).toBeNull();
  });

  test('knows how long its answers took, also after its end; what failed does not count', async () => {
    const { registry } = new Fixture();
    const { id } = registry.open();
    expect(registry.find(id)?.latency).toBeNull();
    for (const [ms, succeeded] of [
      [20, true],
      [40, true],
      [5000, false],
    ] as const) {
      const seat = registry.enter(id, 'anna', 'm');
      vi.advanceTimersByTime(ms);
      seat.leave(succeeded);
    }
    const { latency } = await registry.end(id);
    expect(latency?.p50Ms).toBeGreaterThan(19);
    expect(latency?.p50Ms).toBeLessThan(21);
    expect(latency?.p99Ms).toBeGreaterThan(38);
    expect(latency?.p99Ms).toBeLessThanOrEqual(40);
    expect(registry.find(id)?.latency).toEqual(latency);
  });

  test('is opened, takes requests of users, ends with its receipt', async () => {
    const { registry, changes, users } = new Fixture();
    const { id, state, maxUsers, ambient } = registry.open(3);
    expect({ state, maxUsers, ambient }).toEqual({ state: 'open', maxUsers: 3, ambient: false });
    for (const user of ['anna', 'bert', 'anna']) registry.enter(id, user, 'm').leave(true);
    registry.enter(id, 'anna', 'm').leave(false);
    expect(registry.find(id)).toMatchObject({
      users: 2,
      requests: 4,
      failures: 1,
      endedAtMs: null,
    });
    const ended = await registry.end(id);
    expect(ended).toMatchObject({
      state: 'ended',
      endCause: 'ended by the caller',
      cleanup: { id: `r of ${id}` },
      users: 2,
    });
    expect(registry.find(id)).toEqual(ended);
    expect(registry.openCount).toBe(0);
    expect(users).toEqual([`anna in ${id}`, `bert in ${id}`]);
    expect(changes.map((change) => change.split(' ').slice(1).join(' '))).toEqual([
      'open 0',
      'open 1',
      'open 2',
      'ending 2',
      'ended 2',
    ]);
  });

  test('that is full takes no other user, but those it has', () => {
    const { registry } = new Fixture();
    const { id } = registry.open();
    registry.enter(id, 'anna', 'm').leave(true);
    registry.enter(id, 'bert', 'm').leave(true);
    expect(() => registry.enter(id, 'carl', 'm')).toThrow(
      expect.objectContaining({ code: 'SESSION_FULL' }),
    );
    registry.enter(id, 'anna', 'm').leave(true);
    expect(registry.find(id)).toMatchObject({ users: 2, requests: 3 });
  });

  test('that nobody opened is not found', async () => {
    const { registry } = new Fixture();
    const missing = expect.objectContaining({ code: 'SESSION_NOT_FOUND' });
    expect(() => registry.enter('s_x', 'anna', 'm')).toThrow(missing);
    await expect(registry.end('s_x')).rejects.toEqual(missing);
    expect(registry.find('s_x')).toBeUndefined();
  });

  test('has an id that nobody can guess from another', () => {
    const { registry } = new Fixture();
    const [a, b] = [registry.open().id, registry.open().id];
    expect(a).toMatch(/^s_[0-9a-f]{20}$/);
    expect(a).not.toBe(b);
  });

  test('too many are refused with a hint when to retry', async () => {
    const { registry } = new Fixture({ maxOpen: 2 });
    const { id } = registry.open();
    registry.open();
    const refused = expect.objectContaining({ code: 'TOO_MANY_SESSIONS', retryAfterSeconds: 1 });
    expect(() => registry.open()).toThrow(refused);
    expect(() => registry.enter(undefined, 'anna', 'm')).toThrow(refused);
    await registry.end(id);
    registry.open();
  });
});

describe('ending', () => {
  test('waits for the requests that run, takes no more, and cleans up only then', async () => {
    const fixture = new Fixture();
    const { registry, cleanups } = fixture;
    const { id } = registry.open();
    const [a, b] = [registry.enter(id, 'anna', 'm'), registry.enter(id, 'bert', 'm')];
    const end = registry.end(id);
    expect(registry.find(id)?.state).toBe('ending');
    expect(() => registry.enter(id, 'anna', 'm')).toThrow(
      expect.objectContaining({ code: 'SESSION_ENDED' }),
    );
    a.leave(true);
    await settle();
    expect(cleanups).toHaveLength(0);
    b.leave(false);
    expect(await end).toMatchObject({ state: 'ended', requests: 2, failures: 1 });
    expect(cleanups).toHaveLength(1);
    expect(() => registry.enter(id, 'anna', 'm')).toThrow(
      expect.objectContaining({ code: 'SESSION_ENDED' }),
    );
  });

  test('twice, at once and later, shares one cleanup and one receipt', async () => {
    const { registry, cleanups } = new Fixture({ byHand: true });
    const { id } = registry.open();
    const ends = [registry.end(id), registry.end(id)];
    await settle();
    ends.push(registry.end(id));
    cleanups[0]?.done();
    const [first, ...others] = await Promise.all([...ends, registry.end(id)]);
    others.push(await registry.end(id));
    expect(first?.cleanup).not.toBeNull();
    for (const other of others) expect(other).toEqual(first);
    expect(cleanups).toHaveLength(1);
  });

  test('is done even if the cleanup fails', async () => {
    const { registry, cleanups } = new Fixture({ byHand: true });
    const { id } = registry.open();
    const end = registry.end(id);
    await settle();
    cleanups[0]?.fail(new Error('broken'));
    await expect(end).rejects.toThrow('broken');
    expect(registry.find(id)).toMatchObject({ state: 'ended', cleanup: null });
    expect(registry.openCount).toBe(0);
    expect((await registry.end(id)).cleanup).toBeNull();
  });

  test('one session leaves the others alone', async () => {
    const { registry } = new Fixture();
    const [a, b] = [registry.open(), registry.open()];
    const seat = registry.enter(b.id, 'anna', 'm');
    await registry.end(a.id);
    expect(registry.find(b.id)).toMatchObject({ state: 'open', requests: 1 });
    seat.leave(true);
  });

  test('keeps the last 64 in mind, the open ones and no more', async () => {
    const { registry } = new Fixture({ maxOpen: 1000 });
    const open = registry.open();
    const ids = Array.from({ length: 100 }, () => registry.open().id);
    for (const id of ids) await registry.end(id);
    expect(registry.list()).toHaveLength(65);
    expect(registry.find(ids[35] ?? '')).toBeUndefined();
    expect(registry.find(ids[36] ?? '')).toBeDefined();
    expect(registry.list().at(-1)?.id).toBe(open.id);
  });
});

describe('the ambient session', () => {
  test('is shared by those who name none, and counts like any other', () => {
    const { registry } = new Fixture();
    const a = registry.enter(undefined, 'anna', 'm');
    const b = registry.enter(undefined, 'bert', 'm');
    expect(a.session).toBe(b.session);
    expect(registry.find(a.session)).toMatchObject({ ambient: true, users: 2, maxUsers: 2 });
  });

  test('when it is full ends by itself once its requests are over, and a new one opens', async () => {
    const { registry, cleanups } = new Fixture();
    const a = registry.enter(undefined, 'anna', 'm');
    registry.enter(undefined, 'bert', 'm').leave(true);
    const c = registry.enter(undefined, 'carl', 'm');
    expect(c.session).not.toBe(a.session);
    expect(registry.find(a.session)).toMatchObject({ state: 'ending', endCause: 'full' });
    await settle();
    expect(cleanups).toHaveLength(0);
    a.leave(true);
    await settle();
    expect(registry.find(a.session)?.state).toBe('ended');
    expect(registry.find(c.session)?.state).toBe('open');
  });

  test('that was ended by its name is followed by a new one', async () => {
    const { registry } = new Fixture();
    const a = registry.enter(undefined, 'anna', 'm');
    a.leave(true);
    await registry.end(a.session);
    expect(registry.enter(undefined, 'anna', 'm').session).not.toBe(a.session);
  });

  test('whose cleanup fails is told of, and does not disturb anyone', async () => {
    const error = new Error('broken');
    const { registry, errors } = new Fixture({ cleanup: () => Promise.reject(error) });
    const a = registry.enter(undefined, 'anna', 'm');
    a.leave(true);
    vi.advanceTimersByTime(2 * IDLE_MS);
    await settle();
    expect(errors).toEqual([error]);
    expect(registry.find(a.session)?.state).toBe('ended');
  });
});

describe('an idle session', () => {
  test('ends by itself, not before its time', async () => {
    const { registry, cleanups } = new Fixture();
    const { id } = registry.open();
    vi.advanceTimersByTime(IDLE_MS - 2000);
    registry.enter(id, 'anna', 'm').leave(true);
    vi.advanceTimersByTime(IDLE_MS - 2000);
    expect(registry.find(id)?.state).toBe('open');
    vi.advanceTimersByTime(3000);
    await settle();
    expect(registry.find(id)).toMatchObject({ state: 'ended', endCause: 'idle' });
    vi.advanceTimersByTime(10 * IDLE_MS);
    await settle();
    expect(cleanups).toHaveLength(1);
  });

  test('is not one in which a request runs, however long', async () => {
    const { registry } = new Fixture();
    const { id } = registry.open();
    const seat = registry.enter(id, 'anna', 'm');
    vi.advanceTimersByTime(10 * IDLE_MS);
    expect(registry.find(id)?.state).toBe('open');
    seat.leave(true);
    vi.advanceTimersByTime(IDLE_MS + 1000);
    await settle();
    expect(registry.find(id)?.state).toBe('ended');
  });

  test('with a short time is noticed soon', async () => {
    const { registry } = new Fixture({ idleTimeoutMs: 50 });
    const { id } = registry.open();
    vi.advanceTimersByTime(75);
    await settle();
    expect(registry.find(id)?.state).toBe('ended');
  });
});

describe('a cleanup is told which models are still used', () => {
  async function stillUsed(
    after: (fixture: Fixture, other: string) => void,
  ): Promise<readonly boolean[]> {
    const fixture = new Fixture();
    const { registry, cleanups } = fixture;
    const [ending, other] = [registry.open(), registry.open()];
    registry.enter(ending.id, 'anna', 'mine').leave(true);
    registry.enter(other.id, 'bert', 'theirs').leave(true);
    after(fixture, other.id);
    await registry.end(ending.id);
    return ['mine', 'theirs'].map((model) => cleanups.at(-1)?.stillUsed(model) ?? false);
  }

  test('those that another open session has just asked for, not its own', async () => {
    expect(await stillUsed(() => undefined)).toEqual([false, true]);
  });

  test('not those that were asked for long ago', async () => {
    expect(await stillUsed(() => vi.advanceTimersByTime(5001))).toEqual([false, false]);
  });

  test('not those of a session that is ending as well', async () => {
    const used = await stillUsed(({ registry }, other) => void registry.end(other));
    expect(used).toEqual([false, false]);
  });
});

describe('stopping', () => {
  test('ends every session with one cleanup for all, and opens none', async () => {
    const { registry, cleanups } = new Fixture();
    const ids = [registry.open().id, registry.open().id];
    const seat = registry.enter(undefined, 'anna', 'm');
    const stop = registry.stop();
    const refused = expect.objectContaining({ code: 'SHUTTING_DOWN' });
    expect(() => registry.open()).toThrow(refused);
    expect(() => registry.enter(undefined, 'bert', 'm')).toThrow(refused);
    seat.leave(true);
    await stop;
    expect(cleanups).toHaveLength(1);
    for (const id of [...ids, seat.session]) {
      expect(registry.find(id)).toMatchObject({
        state: 'ended',
        endCause: 'server stopped',
        cleanup: { id: `r of ${id}`, session: id },
      });
    }
    await registry.stop();
    expect(cleanups).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('waits for a session that is ending already', async () => {
    const { registry, cleanups } = new Fixture({ byHand: true });
    const end = registry.end(registry.open().id);
    await settle();
    let isOver = false;
    const stop = registry.stop().then(() => {
      isOver = true;
    });
    await settle();
    expect(isOver).toBe(false);
    cleanups[0]?.done();
    await stop;
    expect((await end).endCause).toBe('ended by the caller');
  });

  test('goes on where a cleanup fails: the parts after this one must be stopped too', async () => {
    const { registry, cleanups, errors } = new Fixture({ byHand: true });
    const ids = [registry.open().id, registry.open().id];
    const stop = registry.stop();
    await settle();
    const error = new Error('broken');
    cleanups[0]?.fail(error);
    await stop;
    expect(ids.map((id) => registry.find(id)?.state)).toEqual(['ended', 'ended']);
    // Once for all of them.
    expect(errors).toEqual([error]);
  });

  test('does not wait for ever, neither for requests nor for the cleanup', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
    const { registry, cleanups } = new Fixture({ byHand: true });
    registry.enter(undefined, 'anna', 'm');
    const waiting = registry.end(registry.open().id);
    await settle();
    const stop = registry.stop(1000);
    await settle();
    await vi.advanceTimersByTimeAsync(1000);
    // The own session's cleanup is given up; the ambient one's request as well, and its cleanup begins.
    expect(await waiting).toMatchObject({ state: 'ended', cleanup: null });
    expect(cleanups).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1000);
    await stop;
    expect(registry.list().map(({ state, cleanup }) => [state, cleanup])).toEqual([
      ['ended', null],
      ['ended', null],
    ]);
    expect(registry.openCount).toBe(0);
  });
});

describe('cleanups', () => {
  /** So many ambient sessions, one after the other: each is full with its two users. */
  const flood = (registry: SessionRegistry, sessions: number, from = 0): readonly string[] => {
    const ids = new Set<string>();
    for (let user = 2 * from; user < 2 * (from + sessions); user += 1) {
      const seat = registry.enter(undefined, `user ${user}`, 'm');
      ids.add(seat.session);
      seat.leave(true);
    }
    return [...ids];
  };

  test('after ambient sessions: one at a time, however many end; each has its receipt', async () => {
    const { registry, cleanups } = new Fixture({ byHand: true });
    const ids = [...flood(registry, 100)];
    await settle();
    expect(cleanups).toHaveLength(1);
    ids.push(...flood(registry, 100, 100));
    await settle();
    expect(cleanups).toHaveLength(1);
    cleanups[0]?.done();
    await settle();
    // All that have ended meanwhile share the second.
    expect(cleanups).toHaveLength(2);
    cleanups[1]?.done();
    await settle();
    expect(cleanups).toHaveLength(2);
    expect(cleanups.map(({ isAwaited }) => isAwaited)).toEqual([false, false]);
    // The last one is still open.
    for (const id of ids.slice(0, -1).slice(-60)) {
      expect(registry.find(id)).toMatchObject({ state: 'ended', cleanup: { session: id } });
    }
  });

  test('that somebody waits for do not wait for those, and go first', async () => {
    const { registry, cleanups } = new Fixture({ byHand: true });
    const { id } = registry.open();
    flood(registry, 50);
    await settle();
    const end = registry.end(id);
    await settle();
    expect(cleanups.map(({ isAwaited }) => isAwaited)).toEqual([false, true]);
    cleanups[1]?.done();
    expect(await end).toMatchObject({ state: 'ended', cleanup: { session: id } });
    cleanups[0]?.done();
  });

  test('that fail for one that ended by itself are told once, and the next one runs', async () => {
    const { registry, cleanups, errors } = new Fixture({ byHand: true });
    flood(registry, 5);
    await settle();
    cleanups[0]?.fail(new Error('broken'));
    await settle();
    expect(errors).toHaveLength(1);
    flood(registry, 5, 5);
    await settle();
    expect(cleanups).toHaveLength(2);
    cleanups[1]?.done();
  });
});
