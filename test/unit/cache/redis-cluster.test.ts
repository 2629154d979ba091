import { createClient } from '@redis/client';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { RedisTier } from '../../../src/cache/redis-tier.js';
import { RedisServer } from '../../servers/redis.js';
import { redis } from '../../servers/tools.js';

const LIMITS = {
  ...{ min: 1, max: 4, waitMs: 10_000, idleMs: 30_000, lifetimeMs: 600_000 },
  checkAfterIdleMs: 5000,
};
const AMPLE = { timeout: 30_000, interval: 20 };
const SLOTS = 16_384;

type Client = Awaited<ReturnType<typeof connect>>;

async function connect(server: RedisServer) {
  const client = createClient({ url: server.url() });
  client.on('error', () => undefined);
  await client.connect();
  onTestFinished(() => client.destroy());
  return client;
}

async function node(): Promise<{ readonly server: RedisServer; readonly client: Client }> {
  const server = await RedisServer.start(redis, 'cluster');
  onTestFinished(() => server.stop());
  return { server, client: await connect(server) };
}

async function isWell(...clients: readonly Client[]): Promise<void> {
  await vi.waitFor(async () => {
    for (const client of clients) {
      expect(String(await client.sendCommand(['CLUSTER', 'INFO']))).toMatch(/cluster_state:ok/);
    }
  }, AMPLE);
}

function addSlots(client: Client, from: number, to: number) {
  return client.sendCommand(['CLUSTER', 'ADDSLOTSRANGE', String(from), String(to)]);
}

async function open(url: string) {
  const states: (string | undefined)[] = [];
  const tier = new RedisTier({
    ...{ url, secret: 'secret', limits: LIMITS, ttlSeconds: 3600 },
    ...{ lookupBudgetMs: 5000, retryMs: 50 },
    onState: (reason) => states.push(reason),
    onRefusal: () => undefined,
    onLookup: () => undefined,
  });
  onTestFinished(() => tier.stop());
  await tier.start();
  return { tier, states };
}

const KEYS = Array.from({ length: 50 }, (_, n) => `k${n}`);

function storeAll(tier: RedisTier): void {
  for (const [at, key] of KEYS.entries()) {
    tier.store(key, { scores: [at / 100], truncated: false });
  }
}

async function expectAllFound(tier: RedisTier): Promise<void> {
  await vi.waitFor(async () => {
    const found = await tier.find(KEYS, 1);
    expect(found.map((one) => one?.result.scores[0])).toEqual(KEYS.map((_, at) => at / 100));
  }, AMPLE);
}

describe.skipIf(redis === undefined)('a real Redis in cluster mode', () => {
  test('of one node: many keys are read and written at once, counted and removed', async () => {
    const { server, client } = await node();
    await addSlots(client, 0, SLOTS - 1);
    await isWell(client);
    const { tier, states } = await open(server.url());
    expect(tier.state).toBe('closed');
    storeAll(tier);
    await expectAllFound(tier);
    expect(await tier.count(5000)).toMatchObject({ entries: KEYS.length, complete: true });
    expect(await tier.remove(5000)).toMatchObject({ entries: KEYS.length, complete: true });
    expect(states).toEqual([]);
  });

  test('of two nodes: the one that owns the keys is found, also after it has changed', async () => {
    const [first, second] = [await node(), await node()];
    const slot = Number(await first.client.sendCommand(['CLUSTER', 'KEYSLOT', 'plimsoll:{2}:']));
    await addSlots(second.client, slot, slot);
    if (slot > 0) await addSlots(first.client, 0, slot - 1);
    if (slot < SLOTS - 1) await addSlots(first.client, slot + 1, SLOTS - 1);
    const { 'cluster-port': port = '' } = await second.client.configGet('cluster-port');
    await first.client.sendCommand([
      ...['CLUSTER', 'MEET', '127.0.0.1', String(second.server.port), port],
    ]);
    await isWell(first.client, second.client);
    const { tier } = await open(first.server.url());
    await vi.waitFor(() => expect(tier.state).toBe('closed'), AMPLE);
    storeAll(tier);
    await expectAllFound(tier);
    expect(await second.client.dbSize()).toBe(KEYS.length);
    // The slot moves to the other node, empty: what was there is computed again.
    await second.client.flushAll();
    const [id] = String(await first.client.sendCommand(['CLUSTER', 'MYID'])).split('\n');
    for (const { client } of [first, second]) {
      await client.sendCommand(['CLUSTER', 'SETSLOT', String(slot), 'NODE', id ?? '']);
    }
    await vi.waitFor(async () => {
      storeAll(tier);
      await new Promise((resolve) => setImmediate(resolve));
      expect(await first.client.dbSize()).toBe(KEYS.length);
    }, AMPLE);
    await expectAllFound(tier);
  }, 90_000);
});
