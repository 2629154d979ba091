import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { CacheView } from '../../src/contract/cache.js';
import type { ErrorBody } from '../../src/contract/errors.js';
import type { Receipts } from '../../src/contract/receipts.js';
import type { Ready, Settings } from '../../src/contract/service.js';
import { during } from '../servers/during.js';
import { RedisServer } from '../servers/redis.js';
import { redis } from '../servers/tools.js';
import { classify, get, post, request, run, startServer } from './harness.js';

const SECRET = 'one-for-both';
/** Far more than anything here takes on a busy machine. */
const AMPLE = { timeout: 60_000, interval: 50 };

describe.skipIf(redis === undefined)('a server with a real Redis', () => {
  const store = during(() => RedisServer.start(redis));

  const start = (settings: Readonly<Record<string, string | number>> = {}) =>
    startServer({
      settings: {
        'worker.count': 1,
        'redis.url': store().url(),
        'redis.lookup_budget_ms': 2000,
        'redis.retry_ms': 100,
        'cache.secret': SECRET,
        ...settings,
      },
    });

  test('answers from Redis what memory no longer knows, as it was computed', async () => {
    const server = await start();
    const texts = ['free money, click here', 'the minutes of our meeting'];
    const computed = await classify(server, texts);
    expect(computed.cached).toEqual([false, false]);
    expect((await classify(server, texts)).cached).toEqual(['memory', 'memory']);
    await post(server, '/v1/memory/recycle');
    expect((await get<CacheView>(server, '/v1/cache')).memory.entries).toBe(0);
    const again = await classify(server, [...texts, 'never seen before']);
    expect(again.cached).toEqual(['redis', 'redis', false]);
    expect(again.results.slice(0, 2)).toEqual(computed.results);
    expect((await classify(server, texts)).cached).toEqual(['memory', 'memory']);
    const { memory, redis: tier } = await get<CacheView>(server, '/v1/cache');
    for (const life of [memory.ttl_left_s, tier?.ttl_left_s]) {
      expect(life?.most).toBeLessThanOrEqual(7200);
      expect(life?.least).toBeGreaterThan(7000);
    }
    const other = await start();
    expect((await classify(other, texts)).cached).toEqual(['redis', 'redis']);
    const stranger = await start({ 'cache.secret': 'another' });
    expect((await classify(stranger, texts)).cached).toEqual([false, false]);
    const { text } = await request<string>(other, 'GET', '/metrics');
    expect(text).toContain('plimsoll_cache_hits_total{tier="redis"} 2');
    // One for results; what servers tell one another may hold another.
    expect(text).toMatch(/plimsoll_pool_open\{pool="redis"\} [12]\n/);
    expect(text).toContain('plimsoll_redis_up 1');
  });

  test('loses no request when Redis goes, says so once, and uses it again when it is back', async () => {
    const server = await start({ 'cache.max_size': 0 });
    onTestFinished(() =>
      store()
        .restart()
        .catch(() => undefined),
    );
    let [sent, stopped] = [0, false];
    const failures: unknown[] = [];
    const sources = new Set<unknown>();
    const caller = async () => {
      while (!stopped) {
        sent += 1;
        const answer = await classify(server, `text ${sent % 7}`).catch((error: unknown) => error);
        if (answer instanceof Error) failures.push(answer);
        else for (const source of (answer as { cached: unknown[] }).cached) sources.add(source);
      }
    };
    const callers = Promise.all([caller(), caller(), caller(), caller()]);
    const hears = (status: string) =>
      vi.waitFor(async () => {
        expect(await get<Ready>(server, '/health/ready')).toMatchObject({ status });
      }, AMPLE);
    await vi.waitFor(() => expect(sources).toContain('redis'), AMPLE);
    await store().kill();
    await hears('degraded');
    const { reasons } = await get<Ready>(server, '/health/ready');
    expect(reasons).toEqual([expect.stringMatching(/^Redis does not answer/)]);
    const before = sent;
    await vi.waitFor(() => expect(sent).toBeGreaterThan(before + 50), AMPLE);
    await store().restart();
    await hears('ready');
    sources.clear();
    await vi.waitFor(() => expect(sources).toContain('redis'), AMPLE);
    stopped = true;
    await callers;
    expect(failures).toEqual([]);
    const said = server.logs.filter(({ msg }) => msg.startsWith('Redis '));
    expect(said.map(({ msg }) => msg.slice(0, 20))).toEqual([
      'Redis does not answe',
      'Redis answers again:',
    ]);
    expect((await server.stop()).code).toBe(0);
    expect(server.output()).not.toContain('sesame');
  });

  test('tells what each tier holds, and clears one or both', async () => {
    const server = await start();
    await request(server, 'DELETE', '/v1/cache');
    await classify(server, ['one', 'two', 'three']);
    await classify(server, 'one');
    const other = await start();
    const view = await vi.waitFor(async () => {
      const now = await get<CacheView>(other, '/v1/cache');
      expect(now.redis?.entries).toBe(3);
      return now;
    }, AMPLE);
    expect(view.redis).toMatchObject({ state: 'closed', reason: null, failures: 0 });
    expect(view.redis?.bytes).toBeGreaterThan(0);
    const own = await get<CacheView>(server, '/v1/cache');
    expect(own.memory).toMatchObject({ entries: 3, hits: 1, misses: 3 });
    expect(own.redis).toMatchObject({ hits: 0, misses: 3 });
    const first = await request(server, 'DELETE', '/v1/cache?tier=memory');
    expect(first.body).toMatchObject({ memory: { entries: 3 }, redis: null });
    expect((await classify(server, ['one', 'two'])).cached).toEqual(['redis', 'redis']);
    const second = await request(server, 'DELETE', '/v1/cache');
    expect(second.body).toMatchObject({
      memory: { entries: 2 },
      redis: { entries: 3, complete: true },
    });
    expect((await classify(server, 'one')).cached).toEqual([false]);
    expect((await request(server, 'DELETE', '/v1/cache?tier=none')).status).toBe(400);
  });

  test('says so when Redis could not be cleared; memory is', async () => {
    const server = await start();
    await classify(server, 'in both');
    await store().kill();
    try {
      const reply = await request<ErrorBody>(server, 'DELETE', '/v1/cache');
      expect(reply.status).toBe(503);
      expect(reply.body.error.code).toBe('REDIS_UNAVAILABLE');
      await vi.waitFor(async () => {
        const view = await get<CacheView>(server, '/v1/cache');
        expect(view.memory.entries).toBe(0);
        expect(view.redis).toMatchObject({ state: 'open', entries: null, bytes: null });
        expect(view.redis?.reason).toMatch(/./);
      }, AMPLE);
    } finally {
      await store().restart();
    }
  });

  test('removes our keys from a Redis on this machine when memory is critical, with a receipt', async () => {
    const roomy = await start();
    await request(roomy, 'DELETE', '/v1/cache');
    await classify(roomy, ['one', 'two', 'three']);
    const other = await start();
    const entries = async () => (await get<CacheView>(other, '/v1/cache')).redis?.entries;
    await vi.waitFor(async () => expect(await entries()).toBe(3), AMPLE);
    const spared = await start({
      'memory.load_line': '64M',
      'cache.clear_redis_on_pressure': 'never',
    });
    const receipt = async (of: { readonly url: string }) => {
      const { receipts } = await get<Receipts>(of, '/v1/receipts?kind=pressure');
      const found = receipts.find(({ cause }) => cause === 'pressure critical: trim_cache');
      if (found === undefined) throw new Error('no receipt yet');
      return found;
    };
    const none = await vi.waitFor(() => receipt(spared), AMPLE);
    expect(none.actions.map(({ action }) => action)).toEqual(['trim_cache']);
    await spared.stop();
    const pressed = await start({ 'memory.load_line': '64M' });
    const { actions } = await vi.waitFor(() => receipt(pressed), AMPLE);
    expect(actions).toMatchObject([
      { action: 'trim_cache' },
      { action: 'clear_redis', entries: 3, freed_mb: expect.any(Number) },
    ]);
    // What a server tells of Redis was counted a moment before.
    await vi.waitFor(async () => expect(await entries()).toBe(0), AMPLE);
  });

  test.each([
    ['credentials that Redis refuses', () => store().url('wrong-secret')],
    ['an address where no Redis is', () => 'redis://:wrong-secret@127.0.0.1:1'],
    ['a name that nobody has', () => 'redis://:wrong-secret@redis.invalid'],
  ])('starts, degraded, with %s, and keeps its secrets to itself', async (_, url) => {
    const server = await start({ 'redis.url': url(), 'cache.secret': 'not-for-show' });
    const health = await request<Ready>(server, 'GET', '/health/ready');
    expect(health.body).toMatchObject({ status: 'degraded' });
    expect(health.body.reasons?.[0]).toMatch(
      /^Redis does not answer, results and sessions are not shared: ./,
    );
    expect((await classify(server, 'a text')).cached).toEqual([false]);
    const refused = await request<ErrorBody>(server, 'DELETE', '/v1/cache');
    expect(refused.body.error.code).toBe('REDIS_UNAVAILABLE');
    const config = await request<Settings>(server, 'GET', '/v1/config');
    const shown = config.body.settings.filter(({ secret }) => secret);
    expect(shown.map(({ key, value }) => [key, value]).sort()).toEqual([
      ['cache.secret', '(set, not shown)'],
      ['database.url', '(none)'],
      ['jobs.url', '(none)'],
      ['prove.key', '(none)'],
      ['redis.url', '(set, not shown)'],
    ]);
    const cache = await request(server, 'GET', '/v1/cache');
    const told = [health, refused, config, cache].map(({ text }) => text).join('\n');
    expect((await server.stop()).code).toBe(0);
    expect(server.output()).toContain('Redis does not answer');
    for (const secret of ['wrong-secret', 'not-for-show']) {
      expect(server.output() + told).not.toContain(secret);
    }
  });
});

test.each(['localhost:6379', 'http://me:wrong-secret@localhost', 'redis://me:wrong-secret@host/x'])(
  'an address that is none of Redis is refused at start: %s',
  async (url) => {
    const { code, stderr } = await run(['serve', '--port', '0', '--set', `redis.url=${url}`]);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/redis\.url \(PLIMSOLL_REDIS_URL\): its value is not `redis:/);
    expect(stderr).not.toContain('wrong-secret');
  },
);
