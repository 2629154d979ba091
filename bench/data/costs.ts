import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createClient } from '@redis/client';
import pg from 'pg';
import { CacheKeys } from '../../src/cache/key.js';
import { KEY_PREFIX } from '../../src/cache/redis-keys.js';
import { ResultCodec } from '../../src/cache/redis-value.js';
import { readProcessMemory } from '../../src/system/process-memory.js';
import { freePort } from '../../test/servers/free-port.js';
import { PostgresqlServer } from '../../test/servers/postgresql.js';
import { RedisServer } from '../../test/servers/redis.js';
import {
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Fact,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { pause } from '../harness/load.js';
import { cpuMs } from '../harness/machine/cpu-time.js';
import { bundledModel } from '../harness/models.js';
import { projectFolder } from '../harness/program.js';
import { serverProgramOf } from '../harness/programs/test-servers.js';
import { ROOMY_SESSIONS, startServer } from '../harness/server.js';
import { realMails } from '../harness/users/mails.js';

/** Results for each number of labels; records; inputs of one request. */
const SIZES = {
  full: { results: 50_000, records: 150_000 },
  quick: { results: 5000, records: 5000 },
};
const LABELS = [2, 6, 28];
/** Of one request: all known, so that nothing but the records costs. */
const INPUTS = 64;
const AT_ONCE = 8;
/** As of two servers with `database.pool.max` of 10. */
const CONNECTIONS = 20;
const TTL_MS = 7_200_000;
const MB = 2 ** 20;
const WRITTEN_LIMIT_MS = 60_000;
/** docs/operations.md promises about these. */
const MOST = { resultBytes: 220, recordBytes: 400 };

export const costs: Benchmark = {
  name: 'costs',
  about: 'bytes that a result takes in Redis, and a record in PostgreSQL; what they take idle',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { results, records } = sizeOf(context, SIZES);
  const redis = await measureRedis(context, results);
  const database = await measureDatabase(context, records);
  const balancerMb = await measureBalancer(context);
  const [twoLabels = Number.NaN] = redis.bytes;
  return {
    headline: `${twoLabels.toFixed(0)} bytes, ${database.bytes.toFixed(0)} bytes`,
    checks: [
      atMost('a result of two labels in Redis', Math.round(twoLabels), MOST.resultBytes, 'bytes'),
      atMost(
        'a record, its indexes included',
        Math.round(database.bytes),
        MOST.recordBytes,
        'bytes',
      ),
      exactly('records lost', database.lost, 0),
      exactly('records that are missing', database.missing, 0),
    ],
    facts: [
      ...redis.facts,
      ...database.facts,
      {
        fact: 'HAProxy with deploy/compose/haproxy.cfg, idle',
        value: `${balancerMb.toFixed(1)} MB (PSS)`,
      },
    ],
    details: {
      definition:
        `Redis: growth of used_memory ÷ keys, ${results} results as the server writes them, with their TTL. ` +
        `PostgreSQL: pg_total_relation_size ÷ rows after ${records} records of requests of ${INPUTS} inputs that the cache of one server knows, ${AT_ONCE} at a time.`,
      redis_bytes: redis.bytes,
      database,
    },
  };
}

async function measureRedis(context: Context, count: number) {
  const server = await RedisServer.start(await serverProgramOf('redis'));
  context.defer(() => server.stop());
  const idleMb = await pssMb([server.pid]);
  const client = createClient({ url: server.url() });
  await client.connect();
  const used = async () => Number(/^used_memory:(\d+)/m.exec(await client.info('memory'))?.[1]);
  const keys = new CacheKeys('bench');
  const codec = new ResultCodec('bench');
  const bytes: number[] = [];
  const facts: Fact[] = [{ fact: 'Redis, idle', value: `${idleMb.toFixed(1)} MB (PSS)` }];
  for (const labels of LABELS) {
    context.progress.at(`Redis: ${count} results of ${labels} labels`);
    await client.flushAll();
    const [before, cpuBefore] = [await used(), cpuMs(server.pid)];
    const scores = Array.from({ length: labels }, (_, at) => (at + 1) / (labels + 1));
    const names = Array.from(
      { length: count },
      (_, at) => KEY_PREFIX + keys.of({ digest: 'd'.repeat(64), task: 'classify' }, `text ${at}`),
    );
    await inSlices(names, async (name) => {
      const value = codec.encode(name, {
        result: { scores, truncated: false },
        expiresAtMs: Date.now() + TTL_MS,
      });
      await client.set(name, value, { expiration: { type: 'PX', value: TTL_MS } });
    });
    const cpuWritten = cpuMs(server.pid);
    bytes.push(((await used()) - before) / count);
    await inSlices(names, (name) => client.mGet([name]));
    const [writeUs, readUs] = [cpuWritten - cpuBefore, cpuMs(server.pid) - cpuWritten].map(
      (ms) => (1000 * ms) / count,
    );
    facts.push({
      fact: `Redis: a result of ${labels} labels`,
      value: `${bytes.at(-1)?.toFixed(0)} bytes; its CPU for SET ${writeUs?.toFixed(1)} µs, for MGET of one ${readUs?.toFixed(1)} µs`,
    });
  }
  client.destroy();
  return { bytes, facts };
}

/** Some thousand commands in flight, as from many servers. */
async function inSlices(names: readonly string[], send: (name: string) => Promise<unknown>) {
  const size = 2000;
  for (let at = 0; at < names.length; at += size) {
    await Promise.all(names.slice(at, at + size).map(send));
  }
}

async function measureDatabase(context: Context, count: number) {
  const server = await PostgresqlServer.start(await serverProgramOf('postgresql'));
  context.defer(() => server.stop());
  const client = new pg.Client({ connectionString: server.url() });
  // It ends with the server where something else fails.
  client.on('error', () => undefined);
  await client.connect();
  const number = async (query: string) => {
    const { rows } = await client.query<{ value: string }>(`select (${query}) as value`);
    return Number(rows[0]?.value);
  };
  const postmaster = parentOf(await number('pg_backend_pid()'));
  const idleMb = await pssMb(treeOf(postmaster));
  const more = Array.from(
    { length: CONNECTIONS - 1 },
    () => new pg.Client({ connectionString: server.url() }),
  );
  for (const each of more) {
    await each.connect();
    await each.query('select count(*) from pg_class');
  }
  const busyMb = await pssMb(treeOf(postmaster));
  for (const each of more) await each.end();
  const wal = () => number(`pg_current_wal_lsn() - '0/0'`);
  const load = await fill(context, server.url(), postmaster, count, wal);
  const table = 'plimsoll.records';
  const rows = await number(`select count(*) from ${table}`);
  const bytes = (await number(`pg_total_relation_size('${table}')`)) / rows;
  const indexBytes = (await number(`pg_indexes_size('${table}')`)) / rows;
  const countedAt = performance.now();
  await number(`select count(*) from ${table}`);
  const countPerSecond = (1000 * rows) / (performance.now() - countedAt);
  await client.end();
  return {
    ...{ bytes, indexBytes, countPerSecond, missing: load.sent - rows, ...load },
    facts: [
      { fact: 'PostgreSQL with 1 connection', value: `${idleMb.toFixed(0)} MB (PSS)` },
      {
        fact: `PostgreSQL with ${CONNECTIONS} connections`,
        value: `${busyMb.toFixed(0)} MB (PSS)`,
      },
      {
        fact: 'a record in PostgreSQL',
        value: `${bytes.toFixed(0)} bytes, ${indexBytes.toFixed(0)} of them indexes; ${load.walBytes.toFixed(0)} bytes of its log (WAL)`,
      },
      {
        fact: 'records counted, as for `records.keep`',
        value: `${(countPerSecond / 1e6).toFixed(1)} million/s`,
      },
      {
        fact: 'records written while the server answered',
        value: `${load.perSecond.toFixed(0)} rows/s; PostgreSQL’s CPU ${load.databaseUs.toFixed(1)} µs a row, the server’s main process ${load.mainUs.toFixed(1)} µs an input`,
      },
    ],
  };
}

/** Fills the records by requests, and waits until all of them are in the database. */
async function fill(
  context: Context,
  url: string,
  postmaster: number,
  count: number,
  wal: () => Promise<number>,
) {
  const server = await startServer(context, {
    models: [bundledModel],
    settings: { ...ROOMY_SESSIONS, 'database.url': url },
  });
  const inputs = realMails().slice(0, INPUTS);
  const body = { model: bundledModel.id, inputs };
  const first = await server.api.classify(body);
  if (first.status !== 200) throw new Error(`not classified: ${first.status}`);
  await written(server, INPUTS);
  const before = {
    at: Date.now(),
    wal: await wal(),
    cpu: treeCpuMs(postmaster),
    main: cpuMs(server.pid),
  };
  let sent = INPUTS;
  const one = async () => {
    while (sent < count) {
      sent += INPUTS;
      context.progress.at(`${sent} records`);
      const { status } = await server.api.classify(body);
      if (status !== 200) throw new Error(`not classified: ${status}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  await written(server, sent);
  const rows = sent - INPUTS;
  const lost = await server.api.metric('plimsoll_records_lost_total');
  return {
    ...{ sent, lost, perSecond: (1000 * rows) / (Date.now() - before.at) },
    walBytes: ((await wal()) - before.wal) / rows,
    databaseUs: (1000 * (treeCpuMs(postmaster) - before.cpu)) / rows,
    mainUs: (1000 * (cpuMs(server.pid) - before.main)) / rows,
  };
}

type Started = Awaited<ReturnType<typeof startServer>>;

/** Sessions and their users are rows, too. */
async function written({ api }: Started, records: number): Promise<void> {
  const untilMs = Date.now() + WRITTEN_LIMIT_MS;
  while (
    (await api.metric('plimsoll_records_written_total')) < records ||
    (await waiting(api)) > 0
  ) {
    if (Date.now() > untilMs) throw new Error('the records were not written in time');
    await pause(20);
  }
}

function waiting(api: Started['api']): Promise<number> {
  return api.metric('plimsoll_records_buffered');
}

async function measureBalancer(context: Context): Promise<number> {
  const program = await serverProgramOf('haproxy');
  const [own, first, second] = [await freePort(), await freePort(), await freePort()];
  const file = path.join(projectFolder, 'deploy/compose/haproxy.cfg');
  const child = spawn(program, ['-f', file], {
    env: {
      LISTEN: `127.0.0.1:${own}`,
      DOOR_1: `127.0.0.1:${first}`,
      DOOR_2: `127.0.0.1:${second}`,
    },
    stdio: 'ignore',
  });
  context.defer(async () => {
    if (child.exitCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  });
  await pause(1500);
  return pssMb(treeOf(child.pid ?? 0));
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

function treeOf(pid: number): readonly number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return [pid, ...children.split(' ').filter(Boolean).map(Number)];
}

function treeCpuMs(pid: number): number {
  return treeOf(pid).reduce((sum, each) => sum + cpuMs(each), 0);
}

async function pssMb(pids: readonly number[]): Promise<number> {
  const each = await Promise.all(pids.map((pid) => readProcessMemory(pid)));
  return each.reduce((sum, memory) => sum + (memory?.pssBytes ?? 0), 0) / MB;
}
