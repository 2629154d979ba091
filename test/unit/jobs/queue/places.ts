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

export const OPTIONS = { maxOpen: 1000, attempts: 3, backoffMs: 10, lockMs: 1000, keepDays: 7 };

export interface Opened {
  readonly queue: LedgerQueue;
  readonly close: () => Promise<void>;
}

/** The queue as a server opens it that has a process of its own. */
export async function openAt(
  place: Place,
  server: string,
  changes: Partial<QueueOptions> = {},
): Promise<Opened> {
  if (place.engine === 'redis') return openOn(place, undefined, server, changes);
  const store = await openStore(place);
  const { queue, close } = await openOn(place, store, server, changes);
  return { queue, close: () => close().then(() => store.close()) };
}

export function openStore(place: Place & { engine: 'sqlite' | 'postgres' }): Promise<Store> {
  return place.engine === 'sqlite' ? Store.open(place.folder) : Store.connect(place.url, LIMITS);
}

/** @param store that of SQLite and PostgreSQL */
export async function openOn(
  place: Place,
  store: Store | undefined,
  server: string,
  changes: Partial<QueueOptions> = {},
): Promise<Opened> {
  const options = {
    ...OPTIONS,
    onError: () => undefined,
    server,
    ...changes,
  };
  const queue = newQueue(place, store, options);
  await queue.start();
  return { queue, close: () => queue.close() };
}

function newQueue(place: Place, store: Store | undefined, options: QueueOptions): LedgerQueue {
  if (place.engine === 'redis') return redisQueue(place.url, place.prefix, options);
  if (store === undefined) throw new Error('no store');
  const { database } = store;
  return place.engine === 'sqlite'
    ? new EmbeddedQueue({ ...options, database, owner: options.server })
    : postgresQueue(database, place.url, 'test', options);
}
