import { beforeAll, describe, expect, test } from 'vitest';
import type { Receipt, Receipts } from '../../src/contract/receipts.js';
import type { Sessions, SessionView } from '../../src/contract/sessions.js';
import type { MemoryView } from '../../src/contract/state/memory.js';
import {
  classify,
  endSession,
  get,
  openSession,
  post,
  request,
  type Server,
  startServer,
  until,
} from './harness.js';
import { answeredShape, expectError, instant, openSessionShape, receiptShape } from './shapes.js';
import { textNumber } from './texts.js';

let server: Server;
const sessionOf = (id: string) => get<SessionView>(server, `/v1/sessions/${id}`);
const receipts = async (query: string) =>
  (await get<Receipts>(server, `/v1/receipts?${query}`)).receipts;

beforeAll(async () => {
  server = await startServer();
});

describe('a session', () => {
  test('opens with 201, empty or with its own number of users', async () => {
    const bare = await request(server, 'POST', '/v1/sessions');
    expect(bare.status).toBe(201);
    expect(bare.body).toStrictEqual(openSessionShape);
    const own = await request(server, 'POST', '/v1/sessions', { body: { max_users: 3 } });
    expect(own.status).toBe(201);
    expect(own.body).toStrictEqual({ ...openSessionShape, max_users: 3 });
  });

  test('counts its users and requests, and is listed, newest first', async () => {
    const first = await openSession(server);
    const second = await openSession(server);
    for (const user of ['ann', 'bob', 'ann']) {
      await classify(server, textNumber(1), { session: first.id, user });
    }
    expect(await sessionOf(first.id)).toStrictEqual({
      ...openSessionShape,
      ...answeredShape,
      id: first.id,
      users: 2,
      requests: 3,
    });
    const { sessions } = await get<Sessions>(server, '/v1/sessions');
    const ids = sessions.map(({ id }) => id);
    expect(ids.indexOf(second.id)).toBeLessThan(ids.indexOf(first.id));
    expect(ids.indexOf(second.id)).toBeGreaterThanOrEqual(0);
    const limited = await get<Sessions>(server, '/v1/sessions?limit=1');
    expect(limited.sessions).toHaveLength(1);
  });

  test('ends with the receipt of its cleanup, twice with the same one', async () => {
    // A server of its own: what another session has just worked with would stay loaded.
    const own = await startServer({ data: server.data });
    const { id } = await openSession(own);
    await classify(own, textNumber(2), { session: id, user: 'ann' });
    const ended = await endSession(own, id);
    expect(ended).toStrictEqual({
      ...openSessionShape,
      ...answeredShape,
      id,
      state: 'ended',
      users: 1,
      requests: 1,
      ended_at: instant,
      end_cause: 'ended by the caller',
      taken_mb: expect.any(Number),
      cleanup: { ...receiptShape, kind: 'cleanup', session: id },
    });
    expect(await endSession(own, id)).toStrictEqual(ended);
    expect(await get(own, `/v1/sessions/${id}`)).toStrictEqual(ended);
    const { before, after, freed_mb, freed_private_mb, actions, duration_ms } = ended.cleanup;
    expect(freed_mb).toBeCloseTo(before.server_used_mb - after.server_used_mb, 2);
    expect(freed_private_mb).toBeCloseTo(before.private_mb - after.private_mb, 2);
    expect(duration_ms).toBeGreaterThan(0);
    for (const figures of [before, after]) {
      expect(figures.private_mb).toBeGreaterThan(10);
      expect(figures.server_used_mb).toBeLessThan(figures.server_total_mb);
      const percent = (100 * figures.server_used_mb) / figures.server_total_mb;
      expect(figures.server_percent).toBeCloseTo(percent, 1);
    }
    const names = actions.map(({ action }) => action);
    expect(names).toContain('unload_model');
    expect(names).toContain('collect_garbage');
    expect(actions.find(({ action }) => action === 'unload_model')?.model).toBe('spam');
    await own.stop();
  });

  test('leaves loaded what another session works with', async () => {
    const [first, second] = [await openSession(server), await openSession(server)];
    for (const { id } of [first, second]) await classify(server, `for ${id}`, { session: id });
    const { cleanup } = await endSession(server, first.id);
    expect(cleanup.actions.map(({ action }) => action)).not.toContain('unload_model');
  });

  test('two ends at once share one cleanup', async () => {
    const { id } = await openSession(server);
    await classify(server, textNumber(3), { session: id, user: 'ann' });
    const [one, two] = await Promise.all([endSession(server, id), endSession(server, id)]);
    expect(one.cleanup.id).toBe(two.cleanup.id);
    expect(await receipts(`session=${id}`)).toHaveLength(1);
  });

  test('refuses the ninth user, and still takes the eight', async () => {
    const { id } = await openSession(server);
    const users = Array.from({ length: 8 }, (_, index) => `user-${index}`);
    await Promise.all(users.map((user) => classify(server, user, { session: id, user })));
    const body = { inputs: 'hello', session: id, user: 'user-8' };
    const ninth = await request(server, 'POST', '/v1/classify', { body });
    expectError(ninth, 'SESSION_FULL', new RegExp(id));
    await classify(server, 'again', { session: id, user: 'user-0' });
    expect(await sessionOf(id)).toMatchObject({ users: 8, requests: 9, failures: 0 });
  });

  test('keeps to its own number of users', async () => {
    const { id } = await openSession(server, 1);
    await classify(server, 'hello', { session: id, user: 'ann' });
    const body = { inputs: 'hello', session: id, user: 'bob' };
    expectError(await request(server, 'POST', '/v1/classify', { body }), 'SESSION_FULL');
    await classify(server, 'hello', { session: id, user: 'ann' });
  });

  test('takes nothing once it has ended, and was never there if nobody opened it', async () => {
    const { id } = await openSession(server);
    await endSession(server, id);
    const late = { inputs: 'hello', session: id };
    expectError(
      await request(server, 'POST', '/v1/classify', { body: late }),
      'SESSION_ENDED',
      new RegExp(id),
    );
    const unknown = { inputs: 'hello', session: 's_nobody' };
    expectError(
      await request(server, 'POST', '/v1/classify', { body: unknown }),
      'SESSION_NOT_FOUND',
      /s_nobody/,
    );
    expectError(await request(server, 'GET', '/v1/sessions/s_nobody'), 'SESSION_NOT_FOUND');
    expectError(await request(server, 'POST', '/v1/sessions/s_nobody/end'), 'SESSION_NOT_FOUND');
  });

  test('finishes its running requests before it ends', async () => {
    const { id } = await openSession(server);
    const texts = Array.from({ length: 64 }, (_, index) => textNumber(7000 + index, 80));
    const running = classify(server, texts, { session: id, user: 'ann' });
    await until('the request runs', async () => (await sessionOf(id)).requests === 1);
    const ended = await endSession(server, id);
    expect((await running).results).toHaveLength(64);
    expect(ended).toMatchObject({ requests: 1, failures: 0 });
  });
});

describe('/v1/receipts', () => {
  test('filters by kind, session and time, newest first', async () => {
    const { id } = await openSession(server);
    const { cleanup } = await endSession(server, id);
    expect(await receipts(`session=${id}`)).toStrictEqual([cleanup]);
    const asked = await post<Receipt>(server, '/v1/memory/cleanup');
    expect(asked).toStrictEqual({ ...receiptShape, kind: 'cleanup', session: null });
    const [newest, next] = await receipts('kind=cleanup&limit=2');
    expect([newest?.id, next?.id]).toEqual([asked.id, cleanup.id]);
    expect(await receipts('kind=recycle&session=nobody')).toEqual([]);
    expect(await receipts(`since=${asked.started_at}`)).toStrictEqual([asked]);
    expect((await receipts(`kind=cleanup&until=${asked.started_at}`))[0]?.id).toBe(cleanup.id);
  });

  test('refuses what is no filter', async () => {
    for (const query of ['limit=0', 'limit=x', 'since=yesterday', 'color=red']) {
      const reply = await request(server, 'GET', `/v1/receipts?${query}`);
      expectError(reply, 'INVALID_REQUEST', new RegExp(query.split('=')[0] ?? ''));
    }
  });
});

describe('the ambient session', () => {
  test('is shared, ends when it is full, and another one opens', async () => {
    const own = await startServer({ data: server.data });
    const seated: string[] = [];
    for (let user = 0; user < 8; user += 1) {
      seated.push((await classify(own, 'hello', { user: `user-${user}` })).session);
    }
    const [first = ''] = seated;
    expect(new Set(seated)).toEqual(new Set([first]));
    const ninth = await classify(own, 'hello', { user: 'user-8' });
    expect(ninth.session).not.toBe(first);
    const view = await until('the full one has ended', async () => {
      const session = await get<SessionView>(own, `/v1/sessions/${first}`);
      return session.state === 'ended' ? session : undefined;
    });
    expect(view).toMatchObject({ ambient: true, users: 8, end_cause: 'full' });
    expect(view.cleanup).toStrictEqual({ ...receiptShape, session: first });
    expect((await get<MemoryView>(own, '/v1/memory')).users_since_recycle).toBe(9);
    await own.stop();
  });

  test('ends when it is idle, and so does one that a caller opened', async () => {
    const settings = { 'session.idle_timeout_ms': 200 };
    const own = await startServer({ data: server.data, settings });
    const { session: ambient } = await classify(own, 'hello');
    const { id: opened } = await openSession(own);
    for (const id of [ambient, opened]) {
      const view = await until(`${id} has ended`, async () => {
        const session = await get<SessionView>(own, `/v1/sessions/${id}`);
        return session.state === 'ended' ? session : undefined;
      });
      expect(view).toMatchObject({ ambient: id === ambient, end_cause: 'idle' });
      expect(view.cleanup).toStrictEqual({ ...receiptShape, session: id });
    }
    const next = await classify(own, 'hello');
    expect(next.session).not.toBe(ambient);
    await own.stop();
  });
});
