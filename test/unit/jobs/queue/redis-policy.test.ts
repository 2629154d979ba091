import { createClient } from '@redis/client';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { redisQueue } from '../../../../src/jobs/queue/bullmq/bull-queues.js';
import { refusalOfPolicy } from '../../../../src/jobs/queue/bullmq/redis-policy.js';
import { RedisServer } from '../../../servers/redis.js';
import { redis } from '../../../servers/tools.js';
import { OPTIONS } from './places.js';

test.each([
  ['maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n', {}],
  ['maxmemory:1000\r\nmaxmemory_policy:noeviction\r\n', {}],
])('a Redis with %j keeps what it is given', (info, expected) => {
  expect(refusalOfPolicy(info)).toEqual(expected);
});

test('a Redis that does not tell its policy is used, with a warning', () => {
  expect(refusalOfPolicy('used_memory:5\r\n').warning).toMatch(/must be noeviction/);
});

describe.skipIf(redis === undefined)('a real Redis', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start(redis);
  });
  afterAll(() => server?.stop());

  async function configure(...settings: readonly string[]): Promise<void> {
    const client = createClient({ url: server.url() });
    await client.connect();
    await client.sendCommand(['CONFIG', 'SET', ...settings]);
    client.destroy();
  }

  test('that would evict jobs is refused at the start, with what to do', async () => {
    await configure('maxmemory', '100mb', 'maxmemory-policy', 'allkeys-lru');
    const options = { ...OPTIONS, server: 'a', onError: () => undefined };
    const queue = redisQueue(server.url(), 'test', options);
    await expect(queue.start()).rejects.toThrow(
      /allkeys-lru.*CONFIG SET maxmemory-policy noeviction.*another Redis than the cache/,
    );
    await queue.close();
    await configure('maxmemory-policy', 'noeviction');
    const fit = redisQueue(server.url(), 'test', options);
    onTestFinished(() => fit.close());
    await fit.start();
  });
});
