import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, onTestFinished } from 'vitest';
import { postgresQueue, redisQueue } from '../../../../src/jobs/queue/bullmq/bull-queues.js';
import { EmbeddedQueue } from '../../../../src/jobs/queue/embedded/embedded-queue.js';
import type { LedgerQueue, QueueOptions } from '../../../../src/jobs/queue/ledger-queue.js';
import { Store } from '../../../../src/store/store.js';
import { PostgresqlServer } from '../../../servers/postgresql.js';
import { RedisServer } from '../../../servers/redis.js';
import { postgresql, redis } from '../../../servers/tools.js';
import { LIMITS } from '../../store/databases.js';

/** Where a job is kept, as a program of its own needs it too. */
export type Place =
  | { readonly engine: 'sqlite'; readonly folder: string }
  | { readonly engine: 'redis'; readonly url: string; readonly prefix: string }
  | { readonly engine: 'postgres'; readonly url: string };

/** The queue as one server opens it. It is closed at the end of the test. */
export interface Fresh {
  readonly place: Place;
  readonly open: (server: string, changes?: Partial<QueueOptions>) => Promise<LedgerQueue>;
  /** The engine’s server; none with SQLite. */
  readonly server: Engine | undefined;
}

export interface Engine {
  kill(): Promise<void>;
  restart(): Promise<void>;
}

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

function freshAt(place: Place, server: Engine | undefined): Fresh {
  const open: Fresh['open'] = async (name, changes) => {
    const { queue, close } = await openAt(place, name, changes);
    onTestFinished(close);
    return queue;
  };
  return { place, server, open };
}

/** The same tests on every engine, each with jobs of its own. */
export function onEveryEngine(tests: (fresh: () => Promise<Fresh>) => void): void {
  describe('on SQLite', () => {
    tests(async () => {
      const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-jobs-'));
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
      return freshAt({ engine: 'sqlite', folder }, undefined);
    });
  });
  onEveryServer(tests);
}

/** The same tests on a real Redis and on a real PostgreSQL. */
export function onEveryServer(tests: (fresh: () => Promise<Fresh>) => void): void {
  describe.skipIf(redis === undefined)('on Redis', () => {
    let server: RedisServer;
    let count = 0;
    beforeAll(async () => {
      server = await RedisServer.start(redis, 'kept');
    });
    afterAll(() => server?.stop());
    tests(async () => {
      count += 1;
      const place = { engine: 'redis', url: server.url(), prefix: `test${count}` } as const;
      return freshAt(place, server);
    });
  });
  describe.skipIf(postgresql === undefined)('on PostgreSQL', () => {
    let server: PostgresqlServer;
    let count = 0;
    beforeAll(async () => {
      server = await PostgresqlServer.start(postgresql);
    }, 60_000);
    afterAll(() => server?.stop());
    tests(async () => {
      count += 1;
      const url = await server.create(`jobs_${count}`);
      return freshAt({ engine: 'postgres', url }, server);
    });
  });
}
