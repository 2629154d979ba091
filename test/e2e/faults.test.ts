import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { NotReady, Ready } from '../../src/contract/service.js';
import type { MemoryView } from '../../src/contract/state/memory.js';
import type { Pools } from '../../src/contract/state/pools.js';
import { during } from '../servers/during.js';
import { FAULT_NAMES, type Fault, faultsOf, Machine, nameOf } from '../servers/faults.js';
import { PostgresqlServer } from '../servers/postgresql.js';
import { RedisServer } from '../servers/redis.js';
import { Relay } from '../servers/relay.js';
import { postgresql, redis } from '../servers/tools.js';
import {
  childrenOf,
  endSession,
  get,
  isRunning,
  openSession,
  request,
  type Server,
  startServer,
  temporaryFolder,
  until,
  workerPids,
} from './harness.js';
import { type Expected, Load, undisturbed } from './load.js';
import { metric } from './records.js';

const WORKERS = 2;
const USERS = 4;
/** A fault is there for at least so many answers. */
const ANSWERS = 24;
/** Connections that the pools may keep beyond what they had, timers of the kernel's files, a reading that runs. */
const SPARE_FILES = 12;
/** Workers that were replaced hold other pages than those that were there before. */
const SPARE_MB = 12;

interface Held {
  readonly processes: number;
  readonly files: number;
  readonly connections: number;
  readonly privateMb: number;
}

describe.skipIf(postgresql === undefined || redis === undefined)('a fault', () => {
  const database = during(() => PostgresqlServer.start(postgresql));
  const store = during(() => RedisServer.start(redis));
  let server: Server;
  let expected: readonly Expected[];
  let faults: readonly Fault[] = [];
  let relays: readonly Relay[] = [];
  let before: Held;
  let sent = 0;

  /** What the server holds once a session has ended and nothing runs. */
  async function held(): Promise<Held> {
    await endSession(server, (await openSession(server)).id);
    const [memory, { pools }] = await Promise.all([
      get<MemoryView>(server, '/v1/memory'),
      get<Pools>(server, '/v1/pools'),
    ]);
    return {
      processes: childrenOf(server.pid).length,
      files: readdirSync(`/proc/${server.pid}/fd`).length,
      connections: pools.reduce((sum, { open }) => sum + open, 0),
      privateMb: memory.processes.reduce((sum, { private_mb }) => sum + private_mb, 0),
    };
  }

  beforeAll(async () => {
    const machine = await new Machine(await temporaryFolder()).make();
    relays = await Promise.all(
      [database().url(), store().url()].map((url) => Relay.start(Number(new URL(url).port))),
    );
    const [toDatabase, toRedis] = relays;
    if (toDatabase === undefined || toRedis === undefined) throw new Error('no relays');
    server = await startServer({
      settings: {
        ...{ 'worker.count': WORKERS, 'worker.reply_timeout_ms': 500 },
        ...{ 'worker.batch_timeout_ms': 3000, 'cache.max_size': 0, 'cache.secret': 'faults' },
        ...{ 'database.url': toDatabase.through(database().url()), 'database.retry_ms': 100 },
        ...{ 'redis.url': toRedis.through(store().url()), 'redis.retry_ms': 100 },
        ...{ 'memory.system_root': machine.root, 'memory.reading_interval_ms': 50 },
        ...{ 'records.flush_ms': 50, 'session.max_users': 100 },
      },
    });
    let place = 0;
    faults = faultsOf({
      ...{ url: server.url, pid: server.pid, data: server.data, machine },
      ...{ database: toDatabase, redis: toRedis },
      holdLog: server.holdLog,
      workers: () => workerPids(server),
      random: () => (place++ % 2) / 2,
    });
    expected = await undisturbed(server, 24);
    sent += expected.length;
    const warm = new Load(server, expected, { users: USERS });
    await until('it is warm', () => warm.answered >= 4 * ANSWERS);
    await warm.finish();
    sent += warm.answered;
    before = await held();
  }, 60_000);

  afterAll(async () => {
    await Promise.all(relays.map((relay) => relay.stop()));
  });

  /** For a moment no worker may be ready: the last one is replaced while another one starts. */
  async function readiness(): Promise<Ready | NotReady> {
    return (await request<Ready | NotReady>(server, 'GET', '/health/ready')).body;
  }

  /** Everything is there, and no more than before. */
  async function isAsBefore(): Promise<true | undefined> {
    const ready = await readiness();
    const workers = await workerPids(server);
    if (ready.status !== 'ready' || workers.length !== WORKERS) return undefined;
    const now = await held();
    const isMore =
      now.processes > before.processes ||
      now.files > before.files + SPARE_FILES ||
      now.connections > before.connections + 2 ||
      now.privateMb > before.privateMb + SPARE_MB;
    return isMore ? undefined : true;
  }

  /** The fault has had its effect: the server says so, or a worker that it hit has been replaced. */
  async function isSeen({ boundary, kind, shows }: Fault, workers: readonly number[]) {
    if (boundary === 'worker' && kind !== 'slow') {
      return (await workerPids(server)).some((pid) => !workers.includes(pid));
    }
    if (shows === undefined) return true;
    const ready = await readiness();
    return 'reasons' in ready && shows.test(ready.reasons?.join('\n') ?? '');
  }

  async function play(fault: Fault): Promise<void> {
    const workers = await workerPids(server);
    const load = new Load(server, expected, { users: USERS });
    try {
      await fault.begin();
      await until(
        'the load goes on, and the fault is seen',
        async () =>
          load.wrong.length > 0 || (load.answered >= ANSWERS && (await isSeen(fault, workers))),
      );
    } finally {
      await fault.end?.();
      await load.finish();
    }
    sent += load.answered;
    expect(load.wrong).toEqual([]);
    await until('it is as before', isAsBefore).catch(async (error: unknown) => {
      const ready = await readiness();
      throw new Error(`${String(error)}: ${JSON.stringify({ before, now: await held(), ready })}`);
    });
  }

  test('has its own test here', () => {
    expect(faults.map(nameOf)).toEqual(FAULT_NAMES);
  });

  test.each(FAULT_NAMES)('of the %s costs no request, and leaves nothing behind', async (name) => {
    const fault = faults.find((of) => nameOf(of) === name);
    if (fault === undefined) throw new Error('no such fault');
    await play(fault);
  });

  test('after all of them no record is lost, and each answer has its own', async () => {
    expect(await metric(server, 'plimsoll_records_lost_total')).toBe(0);
    const count = async () => {
      const [row] = await database().run(
        'postgres',
        'select count(*)::int as records, count(distinct id)::int as ids from plimsoll.records',
      );
      return row as { readonly records: number; readonly ids: number };
    };
    // Requests of clients that left may have been answered too.
    await until('all are in the database', async () => (await count()).records >= sent);
    const { records, ids } = await count();
    expect(ids).toBe(records);
  });

  test.skipIf(process.platform !== 'linux')(
    'of the server itself (kill -9): its workers die with it, one that stands still too',
    async () => {
      const workers = await workerPids(server);
      // It cannot see for itself that its parent has gone: the kernel has to end it.
      const [stopped = process.pid] = workers;
      expect(workers).toContain(stopped);
      process.kill(stopped, 'SIGSTOP');
      await server.kill();
      await until('no worker runs', () => workers.every((pid) => !isRunning(pid)));
    },
  );
});
