/** Limits of keys in a real Redis that stands still, is killed, and comes back. */
import { afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { redisPool } from '../../../src/cache/redis-connection.js';
import type { Caller } from '../../../src/keys/keyring.js';
import { KeyLimits } from '../../../src/keys/limits.js';
import { RedisLimits } from '../../../src/keys/redis-limits.js';
import { RedisServer } from '../../servers/redis.js';
import { redis } from '../../servers/tools.js';

const POOL = {
  ...{ min: 1, max: 2, waitMs: 1000, idleMs: 30_000, lifetimeMs: 600_000 },
  checkAfterIdleMs: 100,
};
const LIMIT = 100;

describe.skipIf(redis === undefined)('limits of keys', () => {
  let server: RedisServer;

  beforeAll(async () => {
    server = await RedisServer.start(redis);
    return () => server.stop();
  }, 60_000);

  afterEach(async () => {
    server.thaw();
    await server.restart();
  });

  /** The limits of one server, on a clock that stands still. */
  async function limits(nowMs: () => number = () => 0): Promise<KeyLimits> {
    const pool = redisPool(server.url(), POOL);
    onTestFinished(() => pool.close());
    // A server has connected before it takes requests, where Redis is there.
    await pool.use((connection) => connection.send(['PING'])).catch(() => undefined);
    return new KeyLimits(new RedisLimits(pool, () => false, 'secret'), nowMs);
  }

  /** How many of these inputs pass, one request after the other. */
  async function passing(of: KeyLimits, caller: Caller, counts: readonly number[]) {
    const verdicts: boolean[] = [];
    for (const count of counts) {
      const verdict = await of.takeInputs(caller, count);
      verdicts.push(verdict?.refusal === undefined);
    }
    return verdicts;
  }

  const keyed = (keyName: string): Caller => ({
    ...{ keyName, scopes: ['classify'], requestsPerSecond: undefined, inputsPerMinute: LIMIT },
  });

  test.each([
    ['stands still', () => server.freeze()],
    ['is gone', () => server.kill()],
  ] as const)(
    'while Redis %s each server counts for itself, and what is used stays used',
    async (what, leave) => {
      const caller = keyed(what);
      const [first, second] = [await limits(), await limits()];
      expect(await passing(first, caller, [60])).toEqual([true]);
      expect(await passing(second, caller, [30, 20])).toEqual([true, false]);
      await leave();
      // The first one has used 60 of its own 100; the second one knows that nothing was left.
      expect(await passing(first, caller, [30, 20, 10])).toEqual([true, false, true]);
      expect(await passing(second, caller, [20])).toEqual([false]);
      expect(await passing(await limits(), caller, [90, 20])).toEqual([true, false]);
    },
  );

  test('the next window is shared again when Redis is back', async () => {
    const caller = keyed('back');
    let nowMs = 0;
    const [first, second] = [await limits(() => nowMs), await limits(() => nowMs)];
    await server.kill();
    expect(await passing(first, caller, [80])).toEqual([true]);
    await server.restart();
    nowMs += 60_000;
    // A connection that broke is noticed when it is used, and that window is then each server's own.
    await passing(first, keyed('noticed'), [1]);
    await passing(second, keyed('noticed'), [1]);
    expect(await passing(first, caller, [70])).toEqual([true]);
    expect(await passing(second, caller, [40, 30])).toEqual([false, true]);
  });

  test('a Redis that stands still holds no connection for good', async () => {
    const pool = redisPool(server.url(), POOL);
    onTestFinished(() => pool.close());
    await pool.use((connection) => connection.send(['PING']));
    const shared = new RedisLimits(pool, () => false, 'secret');
    const window = { key: 'held', kind: 'requests', limit: LIMIT, windowMs: 60_000 } as const;
    server.freeze();
    const takes = Array.from({ length: 2 * POOL.max }, () => shared.take(window, 1));
    expect(new Set(await Promise.all(takes))).toEqual(new Set([undefined]));
    expect(pool.figures.inUse).toBeGreaterThan(0);
    await expect
      .poll(() => pool.figures, { timeout: 10_000 })
      .toMatchObject({ inUse: 0, waiting: 0 });
  });
});
