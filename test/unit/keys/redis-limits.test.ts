import { describe, expect, onTestFinished, test } from 'vitest';
import { redisPool } from '../../../src/cache/redis-connection.js';
import type { Caller } from '../../../src/keys/keyring.js';
import { KeyLimits } from '../../../src/keys/limits.js';
import { RedisLimits } from '../../../src/keys/redis-limits.js';
import { during } from '../../servers/during.js';
import { RedisServer } from '../../servers/redis.js';
import { redis } from '../../servers/tools.js';

const POOL = {
  ...{ min: 0, max: 4, waitMs: 2000, idleMs: 60_000, lifetimeMs: 600_000 },
  checkAfterIdleMs: 60_000,
};

function callerOf(keyName: string, more: Partial<Caller>): Caller {
  return { keyName, scopes: ['classify'], ...more } as Caller;
}

describe.skipIf(redis === undefined)('limits of keys in a real Redis', () => {
  const store = during(() => RedisServer.start(redis));

  const server = async (secret = 'secret') => {
    const pool = redisPool(store().url(), POOL);
    onTestFinished(() => pool.close());
    // A server has connected before it takes requests: a first connection takes longer than a request waits.
    await pool.use((connection) => connection.send(['PING']));
    const shared = new RedisLimits(pool, () => false, secret);
    return { shared, limits: new KeyLimits(shared) };
  };

  /** Whether each of so many requests, sent at once, passed. */
  const ask = async (limits: KeyLimits, caller: Caller, times: number) => {
    const verdicts = Array.from({ length: times }, () => limits.takeRequest(caller));
    return (await Promise.all(verdicts)).filter((of) => of?.refusal === undefined).length;
  };

  test('servers together let no more pass than the limit, and all of it', async () => {
    const caller = callerOf('mail', { inputsPerMinute: 100 });
    const [{ limits: a }, { limits: b }] = [await server(), await server()];
    let passed = 0;
    for (let round = 0; round < 200; round += 1) {
      const verdict = await (round % 2 === 0 ? a : b).takeInputs(caller, 1);
      if (verdict?.refusal === undefined) passed += 1;
    }
    expect(passed).toBe(100);
  });

  test('at once, too', async () => {
    // A window of a minute: a second may end while this runs.
    const [{ shared }, { shared: other }] = [await server(), await server()];
    const takeAtOnce = (key: string) => {
      const window = { key, kind: 'requests', limit: 50, windowMs: 60_000 } as const;
      const each = (of: number) => (of % 2 === 0 ? shared : other).take(window, 2);
      return Promise.all(Array.from({ length: 60 }, (_, of) => each(of)));
    };
    // An answer of Redis that is late on a busy machine is not waited for: then it is asked again, for another key.
    let taken = await takeAtOnce('at once');
    for (let tries = 1; tries < 20 && taken.includes(undefined); tries += 1) {
      taken = await takeAtOnce(`at once ${tries}`);
    }
    expect(taken.reduce((sum, of) => sum + (of?.granted ?? 0), 0)).toBe(50);
    for (const of of taken) expect(of?.endsInMs).toBeLessThanOrEqual(60_000);
  });

  test('a window ends, and the next one is full again', async () => {
    const { shared } = await server();
    const window = { key: 'short', kind: 'requests', limit: 3, windowMs: 200 } as const;
    expect(await shared.take(window, 5)).toMatchObject({ granted: 3 });
    expect(await shared.take(window, 1)).toMatchObject({ granted: 0 });
    await expect
      .poll(async () => (await shared.take(window, 1))?.granted, { timeout: 10_000, interval: 20 })
      .toBe(1);
  });

  test('fleets with another secret count for themselves', async () => {
    const window = { key: 'same', kind: 'inputs', limit: 5, windowMs: 60_000 } as const;
    expect(await (await server('one')).shared.take(window, 5)).toMatchObject({ granted: 5 });
    expect(await (await server('two')).shared.take(window, 5)).toMatchObject({ granted: 5 });
  });

  test('while Redis does not answer each server counts alone', async () => {
    const caller = callerOf('alone', { requestsPerSecond: 5 });
    const { limits } = await server();
    await store().kill();
    try {
      expect(await ask(limits, caller, 20)).toBeGreaterThanOrEqual(5);
      expect(await ask(limits, callerOf('other', { requestsPerSecond: 5 }), 5)).toBe(5);
    } finally {
      await store().restart();
    }
  });
});
