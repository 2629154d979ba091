import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { PostgresqlServer } from '../servers/postgresql.js';
import { postgresql } from '../servers/tools.js';
import { classify, endSession, get, openSession, request, startServer } from './harness.js';
import type { SessionView } from './wire.js';

interface Pools {
  readonly pools: readonly {
    readonly name: string;
    readonly open: number;
    readonly in_use: number;
    readonly broken: number;
  }[];
}

describe.skipIf(postgresql === undefined)('a server on a real PostgreSQL', () => {
  let database: PostgresqlServer;

  beforeAll(async () => {
    database = await PostgresqlServer.start(postgresql);
  });

  afterAll(async () => {
    await database?.stop();
  });

  const start = (url = database.url()) =>
    startServer({ settings: { 'worker.count': 1, 'database.url': url, 'log.level': 'debug' } });

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
    expect(first.output()).not.toContain(new URL(database.url()).password);
    const second = await start();
    expect(await get<SessionView>(second, `/v1/sessions/${id}`)).toEqual(kept);
  });

  test('goes on answering when the database restarts', async () => {
    const server = await start();
    await classify(server, 'before');
    await database.kill();
    const answer = await classify(server, 'meanwhile');
    expect(answer.results).toHaveLength(1);
    await database.restart();
    const { id } = await openSession(server);
    await endSession(server, id);
    expect(await get<SessionView>(server, `/v1/sessions/${id}`)).toMatchObject({ state: 'ended' });
  });

  test('does not start with wrong credentials, and keeps them to itself', async () => {
    const refused = await start(database.url('wrong-secret')).catch((error: unknown) => error);
    expect(String(refused)).toMatch(/the database .* cannot be used: .*authentication failed/);
    expect(String(refused)).not.toContain('wrong-secret');
  });
});

test('a server on SQLite has no pools', async () => {
  const server = await startServer({ settings: { 'worker.count': 1 } });
  expect(await get<Pools>(server, '/v1/pools')).toEqual({ pools: [] });
});
