import { readFileSync } from 'node:fs';
import { createClient, RESP_TYPES } from '@redis/client';
import {
  afterAll,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from 'vitest';
import { RedisTier, type RedisTierOptions } from '../../../src/cache/redis-tier.js';
import { RedisServer } from '../../servers/redis.js';
import { redis } from '../../servers/tools.js';

const LIMITS = {
  min: 1,
  max: 4,
  waitMs: 10_000,
  idleMs: 30_000,
  lifetimeMs: 600_000,
  checkAfterIdleMs: 5000,
};
const RESULT = { scores: [0.1234567, 0.8765433], truncated: false };
/** Far more than Redis takes on a busy machine: what is tested is not its speed. */
const AMPLE_MS = 5000;

describe.skipIf(redis === undefined)('the tier in a real Redis', () => {
  let server: RedisServer;

  beforeAll(async () => {
    server = await RedisServer.start(redis);
  }, 60_000);

  afterAll(async () => {
    await server?.stop();
  });

  /** A client of its own: what the tier did is seen from outside. */
  async function outside() {
    const client = createClient({ url: server.url() });
    client.on('error', () => undefined);
    await client.connect();
    onTestFinished(() => client.destroy());
    return client;
  }

  beforeEach(async () => {
    await (await outside()).flushAll();
  });

  async function open(options: Partial<RedisTierOptions> = {}) {
    const states: (string | undefined)[] = [];
    const refusals: (string | undefined)[] = [];
    const tier = new RedisTier({
      url: server.url(),
      secret: 'of these servers',
      limits: LIMITS,
      ttlSeconds: 3600,
      lookupBudgetMs: AMPLE_MS,
      retryMs: 50,
      onState: (reason) => states.push(reason),
      onRefusal: (reason) => refusals.push(reason),
      onLookup: () => undefined,
      ...options,
    });
    onTestFinished(() => tier.stop());
    await tier.start();
    return { tier, states, refusals };
  }

  /** Waits until a key that was stored is there. */
  async function written(client: Awaited<ReturnType<typeof outside>>, key: string) {
    await vi.waitFor(async () => expect(await client.exists(key)).toBe(1), AMPLE_MS);
  }

  test('what one server stored, another finds, with its end', async () => {
    const [{ tier }, { tier: other }, client] = await Promise.all([open(), open(), outside()]);
    const before = Date.now();
    tier.store('a', RESULT);
    await written(client, 'plimsoll:{2}:a');
    const [found, none] = await other.find(['a', 'b'], 2);
    expect(found?.result).toEqual(RESULT);
    expect(found?.expiresAtMs).toBeGreaterThanOrEqual(before + 3_600_000);
    expect(found?.expiresAtMs).toBeLessThanOrEqual(Date.now() + 3_600_000);
    expect(none).toBeUndefined();
    expect(other.figures).toMatchObject({ hits: 1, misses: 1, failures: 0 });
  });

  test('the life of a key is set in the command that writes it', async () => {
    const [{ tier }, client, monitor] = await Promise.all([open(), outside(), outside()]);
    const commands: string[] = [];
    await monitor.monitor((line) => commands.push(String(line)));
    tier.store('a', RESULT);
    await written(client, 'plimsoll:{2}:a');
    await vi.waitFor(() =>
      expect(commands.join('\n')).toMatch(/"SET" "plimsoll:\{2\}:a" .* "PX" "\d+"/),
    );
    expect(commands.join('\n')).not.toMatch(/EXPIRE/i);
    const left = await client.pTTL('plimsoll:{2}:a');
    expect(left).toBeGreaterThan(3_500_000);
    expect(left).toBeLessThanOrEqual(3_600_000);
  });

  test('lookups that come together share one MGET, and each gets its own', async () => {
    const [{ tier }, client, monitor] = await Promise.all([open(), outside(), outside()]);
    for (const key of ['a', 'b', 'c']) {
      tier.store(key, { scores: [key.charCodeAt(0) / 1000], truncated: true });
      await written(client, `plimsoll:{2}:${key}`);
    }
    const reads: string[] = [];
    await monitor.monitor((line) => {
      if (String(line).includes('MGET')) reads.push(String(line));
    });
    const found = await Promise.all([
      tier.find(['a', 'x'], 1),
      tier.find(['b'], 1),
      tier.find(['y', 'c'], 1),
    ]);
    expect(found.map((of) => of.map((one) => one?.result.scores[0]))).toEqual([
      [0.097, undefined],
      [0.098],
      [undefined, 0.099],
    ]);
    await vi.waitFor(() => expect(reads).toHaveLength(1));
  });

  test('what cannot be read is a miss and is removed; what is not ours stays', async () => {
    const [{ tier }, client] = await Promise.all([open(), outside()]);
    await client.set('plimsoll:{2}:garbage', 'not a result');
    await client.set('plimsoll:{1}:garbage', 'of another version');
    await client.set('garbage', 'of someone else');
    await client.lPush('plimsoll:{2}:list', 'not even a text');
    expect(await tier.find(['garbage', 'list'], 2)).toEqual([undefined, undefined]);
    await vi.waitFor(async () => expect(await client.exists('plimsoll:{2}:garbage')).toBe(0));
    expect(await client.exists(['plimsoll:{1}:garbage', 'garbage'])).toBe(2);
    expect(tier.figures).toMatchObject({ misses: 2, unreadable: 1 });
    tier.store('list', RESULT);
    await vi.waitFor(async () => expect(await client.type('plimsoll:{2}:list')).toBe('string'));
  });

  test('a value that somebody moved to another key, changed or made himself is a miss, and counted', async () => {
    const [{ tier }, { tier: stranger }, client] = await Promise.all([
      open(),
      open({ secret: 'of somebody else' }),
      outside(),
    ]);
    const keys = ['a', 'b', 'c'].map((key) => `plimsoll:{2}:${key}`);
    const [a = '', b = '', c = ''] = keys;
    tier.store('a', { scores: [0.9, 0.1], truncated: false });
    tier.store('b', { scores: [0.2, 0.8], truncated: false });
    for (const key of [a, b]) await written(client, key);
    const bytes = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    const [ofA, ofB] = (await bytes.mGet([a, b])) as unknown as [Buffer, Buffer];
    // Swapped, as another program with access to this Redis could.
    await client.set(a, ofB);
    await client.set(b, ofA);
    expect(await tier.find(['a', 'b'], 2)).toEqual([undefined, undefined]);
    expect(tier.figures).toMatchObject({ hits: 0, misses: 2, unreadable: 2 });
    await vi.waitFor(async () => expect(await client.exists([a, b])).toBe(0));
    // One bit of a score.
    const changed = Buffer.from(ofA);
    changed.writeUInt8(changed.readUInt8(12) ^ 1, 12);
    await client.set(a, changed);
    stranger.store('c', RESULT);
    await written(client, c);
    expect(await tier.find(['a', 'c'], 2)).toEqual([undefined, undefined]);
    expect(tier.figures).toMatchObject({ hits: 0, misses: 4, unreadable: 4 });
    await vi.waitFor(async () => expect(await client.exists([a, c])).toBe(0));
    await client.set(a, ofA);
    expect((await tier.find(['a'], 2))[0]?.result.scores).toEqual([0.9, 0.1]);
  });

  test('works with no more rights than docs/operations.md names', async () => {
    const client = await outside();
    const page = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8');
    const rules = /an ACL: `([^`]+)`/.exec(page)?.[1]?.replaceAll('\\|', '|').split(' ') ?? [];
    await client.sendCommand(['ACL', 'SETUSER', 'narrow', 'on', '>pw', ...rules]);
    const url = new URL(server.url());
    Object.assign(url, { username: 'narrow', password: 'pw', pathname: '/0' });
    const { tier, states, refusals } = await open({
      url: url.href,
      limits: { ...LIMITS, checkAfterIdleMs: 0 },
    });
    tier.store('a', RESULT);
    await written(client, 'plimsoll:{2}:a');
    expect((await tier.find(['a'], 2))[0]?.result).toEqual(RESULT);
    expect(await tier.count(AMPLE_MS)).toMatchObject({ entries: 1, complete: true });
    expect(await tier.remove(AMPLE_MS)).toMatchObject({ entries: 1, complete: true });
    await expect(tier.pool.use((of) => of.send(['FLUSHALL']))).rejects.toThrow('NOPERM');
    expect([states, refusals, tier.state]).toEqual([[], [], 'closed']);
  });

  test('our keys are counted and removed in steps, and nobody else’s', async () => {
    const [{ tier }, client] = await Promise.all([open(), outside()]);
    for (let key = 0; key < 1500; key += 1) tier.store(`k${key}`, RESULT);
    await client.set('foreign', 'stays');
    await vi.waitFor(async () => expect(await client.dbSize()).toBe(1501), AMPLE_MS);
    const counted = await tier.count(AMPLE_MS);
    expect(counted).toMatchObject({ entries: 1500, complete: true });
    expect(counted.bytes).toBeGreaterThan(1500 * 24);
    const removed = await tier.remove(AMPLE_MS);
    expect(removed).toMatchObject({ entries: 1500, complete: true });
    expect(removed.bytes).toBeGreaterThan(0);
    expect(await client.keys('*')).toEqual(['foreign']);
  });

  test('a Redis that is killed is left alone at no cost, and found again when it is back', async () => {
    const { tier, states } = await open();
    await server.kill();
    onTestFinished(async () => {
      if (tier.state !== 'closed') await server.restart().catch(() => undefined);
    });
    await vi.waitFor(async () => {
      expect(await tier.find(['a'], 2)).toEqual([]);
      expect(tier.state).not.toBe('closed');
    }, AMPLE_MS);
    const { checkouts } = tier.pool.figures;
    expect(tier.awayBecause).not.toBe('');
    const { failures } = tier.figures;
    const answers = await Promise.all(Array.from({ length: 50 }, () => tier.find(['a'], 2)));
    expect(answers.flat()).toEqual([]);
    expect(tier.figures.failures).toBe(failures);
    expect(tier.pool.figures.checkouts).toBe(checkouts);
    await server.restart();
    await vi.waitFor(() => expect(tier.state).toBe('closed'), AMPLE_MS);
    const client = await outside();
    tier.store('a', RESULT);
    await written(client, 'plimsoll:{2}:a');
    expect((await tier.find(['a'], 2))[0]?.result).toEqual(RESULT);
    expect(states).toHaveLength(2);
    expect(states[0]).toMatch(/./);
    expect(states[1]).toBeUndefined();
    expect(tier.awayBecause).toBe('');
  });

  test('one that stands still costs a request its budget, until it is left alone', async () => {
    const { tier, states } = await open({ lookupBudgetMs: 20, retryMs: 60_000 });
    server.freeze();
    onTestFinished(() => server.thaw());
    for (let round = 0; round < 20 && tier.state === 'closed'; round += 1) {
      expect(await tier.find(['a'], 2)).toEqual([]);
    }
    expect(tier.state).toBe('open');
    expect(states).toEqual(['no answer within 20 ms']);
    expect(tier.figures.failures).toBeGreaterThanOrEqual(5);
  });

  test('one that stood still is found again', async () => {
    const { tier, states } = await open({ lookupBudgetMs: 300 });
    server.freeze();
    onTestFinished(() => server.thaw());
    await Promise.all(
      [...Array(3)].map(async () => {
        while (tier.state === 'closed') await tier.find(['a'], 2);
      }),
    );
    server.thaw();
    await vi.waitFor(() => expect(tier.state).toBe('closed'), AMPLE_MS);
    expect(states).toHaveLength(2);
    expect(tier.pool.figures.inUse).toBe(0);
  });

  test('one that takes no writes is still read, and says so once', async () => {
    const [{ tier, refusals }, client] = await Promise.all([open(), outside()]);
    await client.configSet({ maxmemory: '1', 'maxmemory-policy': 'noeviction' });
    onTestFinished(async () => {
      await client.configSet('maxmemory', '0');
    });
    tier.store('a', RESULT);
    await vi.waitFor(() => expect(tier.figures.dropped).toBe(1));
    tier.store('b', RESULT);
    await vi.waitFor(() => expect(tier.figures.dropped).toBe(2));
    expect(refusals).toEqual([expect.stringContaining('OOM')]);
    expect(tier.state).toBe('closed');
    await client.configSet('maxmemory', '0');
    tier.store('c', RESULT);
    await written(client, 'plimsoll:{2}:c');
    await vi.waitFor(() => expect(refusals).toHaveLength(2));
    expect(refusals[1]).toBeUndefined();
  });

  test('one that became a replica is connected to anew: its address may lead to the new primary', async () => {
    const [{ tier, refusals }, client] = await Promise.all([open(), outside()]);
    await client.sendCommand(['REPLICAOF', '127.0.0.1', '1']);
    onTestFinished(async () => {
      await client.sendCommand(['REPLICAOF', 'NO', 'ONE']);
    });
    tier.store('a', RESULT);
    await vi.waitFor(() => expect(refusals).toEqual([expect.stringContaining('READONLY')]));
    await vi.waitFor(() => expect(tier.pool.figures.broken).toBeGreaterThan(0));
    await client.sendCommand(['REPLICAOF', 'NO', 'ONE']);
    tier.store('b', RESULT);
    await written(client, 'plimsoll:{2}:b');
    await vi.waitFor(() => expect(refusals).toHaveLength(2));
    expect(tier.state).toBe('closed');
  });

  test.each([
    ['a wrong password', () => server.url('wrong-secret'), /WRONGPASS|invalid/],
    ['nobody there', () => 'redis://:wrong-secret@127.0.0.1:1', /ECONNREFUSED/],
    ['a database that it has not', () => `${server.url()}/999`, /index is out of range/],
  ])('%s: left alone from the start, for a reason without the password', async (_, url, reason) => {
    const { tier, states } = await open({ url: url(), retryMs: 60_000 });
    expect(states).toEqual([expect.stringMatching(reason)]);
    expect(tier.awayBecause).toMatch(reason);
    expect(tier.awayBecause).not.toMatch(/wrong-secret|sesame/);
    expect(await tier.find(['a'], 2)).toEqual([]);
  });

  test('what waits at the end is written', async () => {
    const [{ tier }, client] = await Promise.all([open(), outside()]);
    for (let key = 0; key < 600; key += 1) tier.store(`k${key}`, RESULT);
    await tier.stop();
    expect(await client.dbSize()).toBe(600);
    expect(tier.figures.dropped).toBe(0);
  });

  test('no more waits for Redis than is bounded', async () => {
    const { tier } = await open();
    for (let key = 0; key < 5000; key += 1) tier.store(`k${key}`, RESULT);
    expect(tier.figures.dropped).toBe(5000 - 4096);
    const asked = await Promise.all(
      Array.from({ length: 5 }, () =>
        tier.find(
          [...Array(1000)].map((_, key) => `k${key}`),
          2,
        ),
      ),
    );
    expect(asked.map((of) => of.length)).toEqual([1000, 1000, 1000, 1000, 0]);
    expect(tier.state).toBe('closed');
  });
});
