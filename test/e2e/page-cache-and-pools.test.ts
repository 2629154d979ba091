import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CacheView } from '../../src/contract/cache.js';
import type { Pools } from '../../src/contract/state/pools.js';
import { PostgresqlServer } from '../servers/postgresql.js';
import { RedisServer } from '../servers/redis.js';
import { chromium, postgresql, redis } from '../servers/tools.js';
import { Browser, cells, numberIn, row, shoot } from './browser.js';
import { classify, get, post, type Server, startServer, until } from './harness.js';

const isMissing = [chromium, postgresql, redis].includes(undefined);

describe.skipIf(isMissing)('the page of a server with Redis and PostgreSQL', () => {
  let cache: RedisServer;
  let database: PostgresqlServer;
  let server: Server;
  let browser: Browser;

  beforeAll(async () => {
    cache = await RedisServer.start(redis);
    database = await PostgresqlServer.start(postgresql);
    server = await startServer({
      settings: {
        'worker.count': 1,
        'redis.url': cache.url(),
        'redis.lookup_budget_ms': 2000,
        'redis.retry_ms': 100,
        'cache.secret': 'one-for-all-runs',
        'database.url': database.url(),
        'database.pool.max': 7,
      },
    });
    browser = await Browser.start();
  });

  afterAll(async () => {
    await browser?.close();
    await server?.stop();
    await cache?.stop();
    await database?.stop();
    expect(browser?.faults ?? []).toEqual([]);
  });

  test('shows the hits of each cache tier, the connection pools, and an outage of Redis', async () => {
    const text = 'a text that only Redis knows when memory is cleared';
    await classify(server, text);
    await post(server, '/v1/memory/recycle');
    await until('Redis has answered', async () => {
      const [source] = (await classify(server, text)).cached;
      if (source === 'memory') await post(server, '/v1/memory/recycle');
      return source === 'redis';
    });
    const page = await browser.open(server);
    const ofRedis = row(page, 'Cache', 'Redis');
    const { redis: counted } = await get<CacheView>(server, '/v1/cache');
    if (counted === null) throw new Error('the server has no Redis');
    expect(counted.hits).toBeGreaterThan(0);
    await until('the page shows them', async () => {
      const [, state, hits, misses] = await cells(ofRedis);
      const figures = [numberIn(hits), numberIn(misses)];
      return state === 'in use' && String(figures) === String([counted.hits, counted.misses]);
    });
    const { pools } = await get<Pools>(server, '/v1/pools');
    expect(pools.length).toBe(2);
    for (const { name, max } of pools) {
      const [, inUse, idle, most] = await cells(row(page, 'Connections', name));
      expect(numberIn(inUse) + numberIn(idle)).toBeGreaterThan(0);
      expect(numberIn(most)).toBe(max);
    }
    await cache.kill();
    await until('the page shows that it is bypassed', async () => {
      await classify(server, `${text} ${Math.random()}`);
      return (await cells(ofRedis))[1] !== 'in use';
    });
    await shoot(page, 'without-redis');
    await cache.restart();
    await ofRedis.filter({ hasText: 'in use' }).waitFor();
  });
});
