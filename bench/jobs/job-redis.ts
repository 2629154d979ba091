/** A Redis for the queue of jobs, and how much it keeps. */
import { createClient } from '@redis/client';
import { RedisServer } from '../../test/servers/redis.js';
import type { Deferring } from '../harness/benchmark.js';
import { serverProgramOf } from '../harness/programs/test-servers.js';

const MB = 2 ** 20;

export interface JobRedis {
  readonly url: string;
  /** What it uses, in MB. */
  readonly usedMb: () => Promise<number>;
}

/** @throws NotRunError where Redis is not installed */
export async function startJobRedis(context: Deferring): Promise<JobRedis> {
  const server = await RedisServer.start(await serverProgramOf('redis'));
  const client = createClient({ url: server.url() });
  // The benchmark ends it; what is asked of it then fails by itself.
  client.on('error', () => undefined);
  await client.connect();
  context.defer(async () => {
    client.destroy();
    await server.stop();
  });
  return {
    url: server.url(),
    usedMb: async () => {
      const info = await client.info('memory');
      return Number(/used_memory:(\d+)/.exec(info)?.[1] ?? 0) / MB;
    },
  };
}
