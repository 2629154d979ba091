import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, onTestFinished } from 'vitest';
import type { LedgerQueue, QueueOptions } from '../../../../src/jobs/queue/ledger-queue.js';
import type { Store } from '../../../../src/store/store.js';
import { PostgresqlServer } from '../../../servers/postgresql.js';
import { RedisServer } from '../../../servers/redis.js';
import { postgresql, redis } from '../../../servers/tools.js';
import { openAt, openOn, openStore, type Place } from './places.js';

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

/** Servers on one SQLite file share its connection here: two in one process would wait for each other, blocking both. */
function freshAt(place: Place, server: Engine | undefined): Fresh {
  let shared: Promise<Store> | undefined;
  const open: Fresh['open'] = async (name, changes) => {
    if (place.engine === 'sqlite' && shared === undefined) {
      shared = openStore(place);
      onTestFinished(async () => (await shared)?.close());
    }
    const { queue, close } = await (shared === undefined
      ? openAt(place, name, changes)
      : openOn(place, await shared, name, changes));
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
