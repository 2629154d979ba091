import { postgresQueue, redisQueue } from '../../../../src/jobs/queue/bullmq/bull-queues.js';
import { EmbeddedQueue } from '../../../../src/jobs/queue/embedded/embedded-queue.js';
import type { LedgerQueue, QueueOptions } from '../../../../src/jobs/queue/ledger-queue.js';
import type { PoolLimits } from '../../../../src/pools/pool.js';
import { Store } from '../../../../src/store/store.js';

/** Where a job is kept, as a program of its own needs it too. */
export type Place =
  | { readonly engine: 'sqlite'; readonly folder: string }
  | { readonly engine: 'redis'; readonly url: string; readonly prefix: string }
  | { readonly engine: 'postgres'; readonly url: string };

export const LIMITS: PoolLimits = {
  ...{ min: 1, max: 4, waitMs: 10_000, idleMs: 30_000, lifetimeMs: 600_000 },
  checkAfterIdleMs: 5000,
};

export const OPTIONS = { attempts: 3, backoffMs: 10, lockMs: 1000, keepDays: 7 };

export async function openAt(
  place: Place,
  server: string,
  changes: Partial<QueueOptions> = {},
): Promise<{ readonly queue: LedgerQueue; readonly close: () => Promise<void> }> {
  const options = { ...OPTIONS, onError: () => undefined, server, ...changes };
  if (place.engine === 'redis') {
    const queue = redisQueue(place.url, place.prefix, options);
    await queue.start();
    return { queue, close: () => queue.close() };
  }
  const store =
    place.engine === 'sqlite'
      ? await Store.open(place.folder)
      : await Store.connect(place.url, LIMITS);
  const { database } = store;
  const queue =
    place.engine === 'sqlite'
      ? new EmbeddedQueue({ ...options, database, owner: server })
      : postgresQueue(database, place.url, 'test', options);
  await queue.start();
  const close = async () => {
    await queue.close();
    await store.close();
  };
  return { queue, close };
}
