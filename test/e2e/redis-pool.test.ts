import { createClient } from '@redis/client';
import { describe, expect, test, vi } from 'vitest';
import type { SessionView } from '../../src/contract/sessions.js';
import type { Pools, PoolView } from '../../src/contract/state/pools.js';
import { during } from '../servers/during.js';
import { RedisServer } from '../servers/redis.js';
import { redis } from '../servers/tools.js';
import { classify, get, post, request, type Server, startServer } from './harness.js';

/** Far more than anything here takes on a busy machine. */
const AMPLE = { timeout: 60_000, interval: 20 };

describe.skipIf(redis === undefined)('the pool to a real Redis', () => {
  const store = during(() => RedisServer.start(redis));

  const start = (settings: Readonly<Record<string, string | number>> = {}) =>
    startServer({
      settings: {
        'worker.count': 1,
        'redis.url': store().url(),
        'redis.lookup_budget_ms': 2000,
        'cache.secret': 'of-the-test',
        'cache.max_size': 0,
        ...settings,
      },
    });

  async function poolOf(server: Server): Promise<PoolView> {
    const { pools } = await get<Pools>(server, '/v1/pools');
    const pool = pools.find(({ name }) => name === 'redis');
    if (pool === undefined) throw new Error('there is no pool to Redis');
    return pool;
  }

  /** Asks for the same few texts, many at once, until the pool is as it should be. */
  async function loadUntil(
    server: Server,
    session: string | undefined,
    wanted: (of: PoolView) => boolean,
  ) {
    let sent = 0;
    await vi.waitFor(async () => {
      const texts = Array.from({ length: 16 }, () => `text ${sent++ % 40}`);
      const [pool] = await Promise.all([
        poolOf(server),
        ...texts.map((text) => classify(server, text, session === undefined ? {} : { session })),
      ]);
      expect(wanted(pool)).toBe(true);
    }, AMPLE);
  }

  test('shrinks to its minimum when a session is cleaned up, and its figures are logged', async () => {
    const server = await start();
    const session = await post<SessionView>(server, '/v1/sessions');
    await loadUntil(server, session.id, ({ open }) => open > 1);
    // What was computed is written to Redis after its answer.
    await vi.waitFor(async () => expect((await poolOf(server)).in_use).toBe(0), AMPLE);
    await post(server, `/v1/sessions/${session.id}/end`);
    const pool = await vi.waitFor(async () => {
      const now = await poolOf(server);
      expect(now).toMatchObject({ open: 1, idle: 1, in_use: 0, waiting: 0 });
      return now;
    }, AMPLE);
    expect(pool.checkouts).toBeGreaterThan(1);
    expect(pool.wait_ms_max).toBeGreaterThanOrEqual(pool.wait_ms_mean);
    const line = server.logs.find(
      ({ msg, pool: name }) => msg === 'pool shrunk after a session' && name === 'redis',
    );
    expect(line).toMatchObject({ session: session.id, open: 1, inUse: 0, waiting: 0, broken: 0 });
    expect(line?.closed).toBeGreaterThan(0);
    const { text } = await request<string>(server, 'GET', '/metrics');
    expect(text).toMatch(/^plimsoll_pool_wait_seconds_total\{pool="redis"\} \d/m);
    expect(text).toMatch(/^plimsoll_pool_checkouts_total\{pool="redis"\} [1-9]/m);
  });

  test('discards connections that Redis breaks, and nobody notices', async () => {
    const server = await start();
    await classify(server, 'a text');
    const client = createClient({ url: store().url() });
    client.on('error', () => undefined);
    await client.connect();
    try {
      await client.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes']);
    } finally {
      client.destroy();
    }
    await loadUntil(server, undefined, ({ broken }) => broken > 0);
    await vi.waitFor(async () => {
      expect((await classify(server, 'a text')).cached).toEqual(['redis']);
    }, AMPLE);
    expect(server.logs.filter(({ msg }) => msg.startsWith('Redis '))).toEqual([]);
  });

  test('replaces connections that are older than their lifetime, while they are used', async () => {
    const server = await start({ 'redis.pool.lifetime': 1 });
    await loadUntil(server, undefined, ({ recycled }) => recycled >= 3);
    const { text } = await request<string>(server, 'GET', '/metrics');
    const recycled = /^plimsoll_pool_recycled_total\{pool="redis"\} (\d+)$/m.exec(text)?.[1];
    expect(Number(recycled)).toBeGreaterThanOrEqual(3);
    expect(server.logs.filter(({ msg }) => msg.startsWith('Redis '))).toEqual([]);
  });
});
