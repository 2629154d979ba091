import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import type { Ready } from '../../src/contract/service.js';
import type { SessionView } from '../../src/contract/sessions.js';
import type { Pools } from '../../src/contract/state/pools.js';
import { during } from '../servers/during.js';
import { PostgresqlServer } from '../servers/postgresql.js';
import { postgresql } from '../servers/tools.js';
import { classify, endSession, get, openSession, request, startServer } from './harness.js';
import { Load, undisturbed } from './load.js';
import { keptTexts, metric, recordsOf } from './records.js';
import { expectError } from './shapes.js';

const AMPLE = { timeout: 30_000, interval: 50 };

describe.skipIf(postgresql === undefined)('a server on a real PostgreSQL', () => {
  const database = during(() => PostgresqlServer.start(postgresql));

  const start = (options: { readonly url?: string; readonly data?: string } = {}) =>
    startServer({
      ...(options.data === undefined ? {} : { data: options.data }),
      settings: {
        'worker.count': 1,
        'database.url': options.url ?? database().url(),
        'database.retry_ms': 100,
        'records.keep_text': 'true',
        'cache.secret': 'a secret of this test',
        'log.level': 'debug',
      },
    });

  test('keeps its sessions over a restart, and shrinks its pool after each', async () => {
    const first = await start();
    const { id } = await openSession(first);
    await classify(first, 'a text', { session: id });
    await endSession(first, id);
    const kept = await get<SessionView>(first, `/v1/sessions/${id}`);
    await vi.waitFor(async () => {
      const { pools } = await get<Pools>(first, '/v1/pools');
      expect(pools).toMatchObject([{ name: 'database', in_use: 0 }]);
    });
    const { text } = await request<string>(first, 'GET', '/metrics');
    expect(text).toContain('plimsoll_pool_open{pool="database"}');
    expect(first.logs.some(({ pool, session }) => pool === 'database' && session === id)).toBe(
      true,
    );
    expect((await first.stop()).code).toBe(0);
    expect(first.output()).not.toContain(new URL(database().url()).password);
    const second = await start();
    expect(await get<SessionView>(second, `/v1/sessions/${id}`)).toEqual(kept);
    await second.stop();
  });

  test('loses no record and no request when the database restarts under load', async () => {
    const url = await database().create('restarts');
    const server = await start({ url });
    const expected = await undisturbed(server, 40);
    const load = new Load(server, expected, { users: 4 });
    const before = await metric(server, 'plimsoll_records_spilled_total');
    await vi.waitUntil(() => load.answered > 50, AMPLE);
    await database().kill();
    const away = load.answered;
    await vi.waitUntil(() => load.answered > away + 100, AMPLE);
    const health = await get<Ready>(server, '/health/ready');
    expect(health).toMatchObject({ status: 'degraded' });
    expect(health.reasons?.join()).toMatch(/the database takes no records: /);
    expect(await metric(server, 'plimsoll_database_up')).toBe(0);
    expectError(await request(server, 'GET', '/v1/receipts'), 'DATABASE_UNAVAILABLE');
    await database().restart();
    const back = load.answered;
    await vi.waitUntil(() => load.answered > back + 50, AMPLE);
    await load.finish();
    expect(load.wrong).toEqual([]);
    await vi.waitFor(async () => {
      expect(await metric(server, 'plimsoll_records_spilled_bytes')).toBe(0);
      expect((await get<Ready>(server, '/health/ready')).status).toBe('ready');
    }, AMPLE);
    expect(await metric(server, 'plimsoll_records_spilled_total')).toBeGreaterThan(before + 50);
    expect(await metric(server, 'plimsoll_records_lost_total')).toBe(0);
    await server.stop();
    expect(await keptTexts(url)).toHaveLength(expected.length + load.answered);
    const lines = server.logs.filter(({ msg }) => msg.startsWith('the database takes'));
    expect(lines).toHaveLength(2);
    expect(server.output()).not.toContain(new URL(url).password);
  });

  test('is stopped without its database, and brings in what it had at the next start', async () => {
    const url = await database().create('stopped');
    const first = await start({ url });
    await classify(first, 'before', { user: 'ann' });
    await database().kill();
    const { session } = await classify(first, 'meanwhile', { user: 'ann' });
    expect((await first.stop()).code).toBe(0);
    const second = await start({ url, data: first.data });
    expect((await get<Ready>(second, '/health/ready')).status).toBe('degraded');
    expect((await classify(second, 'later', { user: 'bob' })).results).toHaveLength(1);
    await database().restart();
    await vi.waitFor(async () => {
      const { records } = await recordsOf(second, 'user=ann');
      expect(records.map(({ input }) => input)).toEqual(['meanwhile', 'before']);
    }, AMPLE);
    await vi.waitFor(async () => {
      expect(await get<SessionView>(second, `/v1/sessions/${session}`)).toMatchObject({
        state: 'ended',
        end_cause: 'server stopped',
      });
    }, AMPLE);
    expect((await recordsOf(second, 'user=bob')).records).toMatchObject([
      { input: 'later', model: 'spam', cached: false, session: expect.stringMatching(/^s_/) },
    ]);
    await second.stop();
    expect(await keptTexts(url)).toEqual(['before', 'later', 'meanwhile']);
  });

  test('is killed without its database, and brings in what it had at the next start', async () => {
    const url = await database().create('killed');
    const first = await start({ url });
    const { id } = await openSession(first);
    await classify(first, 'before', { session: id });
    await database().kill();
    await classify(first, 'meanwhile', { session: id });
    await vi.waitFor(
      async () => expect(await metric(first, 'plimsoll_records_spilled_total')).toBeGreaterThan(0),
      AMPLE,
    );
    await vi.waitFor(
      async () => expect(await metric(first, 'plimsoll_records_buffered')).toBe(0),
      AMPLE,
    );
    await first.kill();
    await database().restart();
    const second = await start({ url, data: first.data });
    await vi.waitFor(async () => {
      const { state } = await get<SessionView>(second, `/v1/sessions/${id}`);
      expect(state).toBe('interrupted');
    }, AMPLE);
    await second.stop();
    expect(await keptTexts(url)).toEqual(['before', 'meanwhile']);
  });

  test('servers that shared a data folder leave nothing behind in it when one of them comes back', async () => {
    const url = await database().create('folder');
    const first = await start({ url });
    const second = await start({ url, data: first.data });
    await classify(first, 'of the first');
    await database().kill();
    const { session } = await classify(second, 'of the second');
    for (const server of [first, second]) {
      await vi.waitFor(
        async () => expect(await metric(server, 'plimsoll_records_buffered')).toBe(0),
        AMPLE,
      );
      await server.kill();
    }
    await database().restart();
    const third = await start({ url, data: first.data });
    await vi.waitFor(async () => {
      const { state } = await get<SessionView>(third, `/v1/sessions/${session}`);
      expect(state).toBe('interrupted');
    }, AMPLE);
    await third.stop();
    expect(await keptTexts(url)).toEqual(['of the first', 'of the second']);
    expect(
      (await readdir(path.join(first.data, 'records'))).filter((name) => /spill/.test(name)),
    ).toEqual(['1.spill']);
  });

  test('shows its settings without their secrets', async () => {
    const server = await start();
    const shown = await request(server, 'GET', '/v1/config');
    expect(shown.body).toMatchObject({
      settings: expect.arrayContaining([
        expect.objectContaining({ key: 'database.url', value: '(set, not shown)', secret: true }),
        expect.objectContaining({ key: 'cache.secret', value: '(set, not shown)', secret: true }),
        expect.objectContaining({ key: 'database.retry_ms', value: '100', unit: 'ms' }),
      ]),
    });
    expect(shown.text).not.toContain('a secret of this test');
    expect(shown.text).not.toContain(new URL(database().url()).password);
    await server.stop();
  });

  test('starts before its database does, serves, says so, and comes back by itself', async () => {
    const url = await database().create('late');
    await database().kill();
    const server = await start({ url });
    expect((await classify(server, 'early')).results).toHaveLength(1);
    const health = await get<Ready>(server, '/health/ready');
    expect(health.status).toBe('degraded');
    expect(JSON.stringify(health)).not.toContain(new URL(url).password);
    await database().restart();
    await vi.waitFor(
      async () => expect((await get<Ready>(server, '/health/ready')).status).toBe('ready'),
      AMPLE,
    );
    await server.stop();
    expect(await keptTexts(url)).toEqual(['early']);
  });

  test('two servers on one database leave each other’s sessions alone', async () => {
    const url = await database().create('shared');
    const first = await start({ url });
    const { id: lives } = await openSession(first);
    const second = await start({ url });
    const { id: dies } = await openSession(second);
    await get(second, `/v1/sessions?limit=1`);
    await second.kill();
    const third = await start({ url, data: second.data });
    await vi.waitFor(async () => {
      const { state } = await get<SessionView>(third, `/v1/sessions/${dies}`);
      expect(state).toBe('interrupted');
    }, AMPLE);
    expect(await get<SessionView>(third, `/v1/sessions/${lives}`)).toMatchObject({ state: 'open' });
    await endSession(first, lives);
    // The other server writes it within its `records.flush_ms`.
    await vi.waitFor(async () => {
      expect(await get<SessionView>(third, `/v1/sessions/${lives}`)).toMatchObject({
        state: 'ended',
        end_cause: 'ended by the caller',
      });
    }, AMPLE);
  });

  test.each([
    ['credentials', () => database().url('wrong-secret'), /authentication failed/],
    ['a database', () => database().url(undefined, 'nowhere'), /"nowhere" does not exist/],
    ['an address', () => 'postgres://me:wrong-secret@[/x', /cannot be used/],
  ])('does not start with %s that is wrong, and keeps secrets to itself', async (_of, url, why) => {
    const refused = await start({ url: url() }).catch((error: unknown) => error);
    expect(String(refused)).toMatch(/the database|database\.url/);
    expect(String(refused)).toMatch(why);
    expect(String(refused)).not.toContain('wrong-secret');
    expect(String(refused)).not.toContain(new URL(database().url()).password);
  });
});

test('a server on SQLite has no pools', async () => {
  const server = await startServer({ settings: { 'worker.count': 1 } });
  expect(await get<Pools>(server, '/v1/pools')).toEqual({ pools: [] });
});
