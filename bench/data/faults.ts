import { readdir, readFile } from 'node:fs/promises';
import pg from 'pg';
import {
  type Exposed,
  FAULTY_TEXT,
  type Fault,
  faultsOf,
  Machine,
  nameOf,
} from '../../test/servers/faults.js';
import { PostgresqlServer } from '../../test/servers/postgresql.js';
import { RedisServer } from '../../test/servers/redis.js';
import { Relay } from '../../test/servers/relay.js';
import {
  atLeast,
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { atRest, expectedAnswers, KnownAnswers } from '../harness/known-answers.js';
import { pause } from '../harness/load.js';
import { bundledModel } from '../harness/models.js';
import { temporaryFolder } from '../harness/program.js';
import { serverProgramOf } from '../harness/programs/test-servers.js';
import { type StartedServer, startServer, UNCACHED } from '../harness/server.js';
import { latencies, rounded } from '../harness/spread.js';
import { mulberry32 } from '../synthetic/random.js';

const SECONDS = { full: 3600, quick: 120 };
const WARM_UP_SECONDS = { full: 15, quick: 5 };
const FAULTS_PER_HOUR = 1000;
const EVERY_MS = 3_600_000 / FAULTS_PER_HOUR;
/** How long a fault lasts. */
const LEAST_MS = 100;
const MOST_MS = 2000;
const SEED = 20_251;
const USERS = 8;
const REQUESTS_PER_USER = 10;
/** Wait of a user before each request: an hour then has less than a million records. */
const THINK_MS = 40;
const MOST_REST = 1.05;
/** Open files that may be more than before: connections of the pools, a reading that runs. */
const SPARE_FILES = 12;
const CALM_MS = 60_000;

export const faults: Benchmark = {
  name: 'faults',
  about:
    'requests that fail, wrong answers and lost records under random faults at every boundary, 1,000 an hour',
  notInAll: true,
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { progress } = context;
  const around = await surroundings(context);
  const server = await startServer(context, {
    models: [bundledModel],
    settings: {
      ...UNCACHED,
      ...{ 'redis.url': around.redisUrl, 'redis.retry_ms': 200, 'cache.secret': 'bench' },
      ...{ 'database.url': around.databaseUrl, 'database.retry_ms': 200 },
      ...{ 'records.keep': 1_000_000_000, 'records.keep_text': 'true' },
      ...{ 'worker.reply_timeout_ms': 1000, 'worker.batch_timeout_ms': 4000 },
      ...{ 'memory.system_root': around.machine.root, 'memory.reading_interval_ms': 200 },
    },
  });
  const { api } = server;
  const expected = await expectedAnswers(api, bundledModel.id);
  const play = new KnownAnswers(api, {
    ...{ model: bundledModel.id, expected, pauseMs: THINK_MS },
    ...{ users: USERS, requestsPerUser: REQUESTS_PER_USER },
  });
  await play.run(sizeOf(context, WARM_UP_SECONDS));
  await calm(server);
  const before = await holdings(server);
  const known = await recordsIn(around.database.url());
  const answeredBefore = play.tally.replies.length;
  const seconds = sizeOf(context, SECONDS);
  const next = mulberry32(SEED);
  const random = () => next() / 2 ** 32;
  progress.say(`random faults, seed ${SEED}`);
  const injecting = inject(exposed(server, around, random), random, seconds, (line) =>
    progress.at(line),
  );
  injecting.catch(() => undefined);
  await play.run(seconds);
  const counts = await injecting;
  await calm(server);
  const after = await holdings(server);
  const lost = await api.metric('plimsoll_records_lost_total');
  const ended = server.ended();
  await server.stop();
  const kept = await recordsIn(around.database.url());
  const answered = play.tally.replies.length - answeredBefore;
  const missing = answered - (kept.records - known.records);
  return outcomeOf({ play, missing, before, after, counts, lost, kept, seconds, ended });
}

interface Surroundings extends Pick<Exposed, 'redis' | 'machine'> {
  readonly database: PostgresqlServer;
  readonly toDatabase: Relay;
  readonly databaseUrl: string;
  readonly redisUrl: string;
}

async function surroundings(context: Context): Promise<Surroundings> {
  const database = await PostgresqlServer.start(await serverProgramOf('postgresql'));
  context.defer(() => database.stop());
  const store = await RedisServer.start(await serverProgramOf('redis'));
  context.defer(() => store.stop());
  const relayTo = async (url: string) => {
    const relay = await Relay.start(Number(new URL(url).port));
    context.defer(() => relay.stop());
    return relay;
  };
  const toDatabase = await relayTo(database.url());
  const redis = await relayTo(store.url());
  const machine = await new Machine(await temporaryFolder(context, 'machine')).make();
  const [databaseUrl, redisUrl] = [toDatabase.through(database.url()), redis.through(store.url())];
  return { database, toDatabase, redis, machine, databaseUrl, redisUrl };
}

function exposed(server: StartedServer, around: Surroundings, random: () => number): Exposed {
  const { url, pid, data, holdLog } = server;
  const { toDatabase: database, redis, machine } = around;
  const workers = async () => {
    const { processes } = await server.api.memory();
    const pids = processes.filter(({ role }) => role === 'worker').map((of) => of.pid);
    // The system reuses ids: only a child of our own server is hit.
    const parents = await Promise.all(pids.map(parentOf));
    return pids.filter((_, at) => parents[at] === pid);
  };
  return { url, pid, data, holdLog, database, redis, machine, workers, random };
}

/** One fault after another, each in its own slot of time. @returns how many of each there were */
async function inject(
  server: Exposed,
  random: () => number,
  seconds: number,
  tell: (line: string) => void,
): Promise<ReadonlyMap<string, number>> {
  // Each request of the users here opens a session of its own.
  const all = faultsOf(server).filter(({ refusesSessions }) => refusesSessions !== true);
  const counts = new Map<string, number>();
  const slots = Math.floor((seconds * 1000) / EVERY_MS);
  const begunAt = performance.now();
  for (let slot = 0; slot < slots; slot += 1) {
    const fault = all[Math.floor(random() * all.length)];
    if (fault === undefined) continue;
    tell(`${slot + 1} of ${slots} faults: ${nameOf(fault)}`);
    await one(fault, LEAST_MS + random() * (MOST_MS - LEAST_MS));
    counts.set(nameOf(fault), (counts.get(nameOf(fault)) ?? 0) + 1);
    await pause(Math.max(0, begunAt + (slot + 1) * EVERY_MS - performance.now()));
  }
  return counts;
}

async function one(fault: Fault, ms: number): Promise<void> {
  try {
    await fault.begin();
    await pause(ms);
  } finally {
    await fault.end?.();
  }
}

interface Holdings {
  readonly privateMb: number;
  readonly files: number;
  readonly processes: number;
}

async function holdings({ api, pid }: StartedServer): Promise<Holdings> {
  const privateMb = await atRest(api);
  const files = (await readdir(`/proc/${pid}/fd`)).length;
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return { privateMb, files, processes: children.split(' ').filter((of) => of !== '').length };
}

/** Waits until the database has what was written down for it, and nothing is degraded. */
async function calm({ url, api }: StartedServer): Promise<void> {
  for (const until = Date.now() + CALM_MS; Date.now() < until; await pause(100)) {
    const waiting = await api.metric('plimsoll_records_spilled_bytes');
    const ready = (await (await fetch(`${url}/health/ready`)).json()) as { status: string };
    if (waiting === 0 && ready.status === 'ready') return;
  }
}

interface Played {
  readonly play: KnownAnswers;
  readonly before: Holdings;
  readonly after: Holdings;
  readonly counts: ReadonlyMap<string, number>;
  readonly lost: number;
  /** Answers that have no record; negative: records of nothing that was answered. */
  readonly missing: number;
  readonly kept: { readonly records: number; readonly ids: number };
  readonly seconds: number;
  readonly ended: string | undefined;
}

function outcomeOf(played: Played): Outcome {
  const { play, before, after, counts, lost, missing, kept, seconds, ended } = played;
  const { tally } = play;
  const sum = [...counts.values()].reduce((all, count) => all + count, 0);
  const ratio = rounded(after.privateMb / before.privateMb);
  return {
    headline: `${tally.failures.length} failed, ${play.wrong.length} wrong, ${missing} records lost of ${tally.replies.length.toLocaleString('en-US')}; ${sum} faults`,
    checks: [
      exactly('failed requests', tally.failures.length, 0),
      exactly('wrong answers', play.wrong.length, 0),
      exactly('answers without a record (or records without an answer, negative)', missing, 0),
      exactly('records lost, by the server’s count', lost, 0),
      exactly('records double', kept.records - kept.ids, 0),
      atMost('private memory at rest, after ÷ before', ratio, MOST_REST),
      atMost('open files more than before', after.files - before.files, SPARE_FILES),
      exactly('processes more than before', after.processes - before.processes, 0),
      atLeast('faults', sum, Math.floor((seconds * 1000) / EVERY_MS)),
    ],
    facts: [
      ...tally.failureFacts,
      { fact: 'answers', value: latencies(tally.replies.map(({ ms }) => ms)) },
      {
        fact: 'private memory at rest before, after',
        value: `${before.privateMb.toFixed(1)}, ${after.privateMb.toFixed(1)} MB`,
      },
      { fact: 'open files before, after', value: `${before.files}, ${after.files}` },
      { fact: 'seed', value: String(SEED) },
      { fact: 'the server itself', value: ended ?? 'still running' },
    ],
    details: {
      definition:
        `bundled model, Redis and PostgreSQL behind relays, no cache in memory; ${USERS} users in fresh sessions who wait ${THINK_MS} ms before each request; ` +
        `for ${seconds} s a random fault every ${EVERY_MS} ms (seed ${SEED}) that lasts ${LEAST_MS} to ${MOST_MS} ms; each answer compared with that before the first fault`,
      faults: Object.fromEntries([...counts].sort(([a], [b]) => a.localeCompare(b))),
      failures: tally.firstFailures,
      wrong: play.wrong.slice(0, 20),
    },
  };
}

/** Requests of the clients that are faults themselves are not counted. */
async function recordsIn(url: string): Promise<Played['kept']> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<Played['kept']>(
      'select count(*)::int as records, count(distinct id)::int as ids from plimsoll.records where input <> $1',
      [FAULTY_TEXT],
    );
    return rows[0] ?? { records: Number.NaN, ids: Number.NaN };
  } finally {
    await client.end();
  }
}

async function parentOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/^PPid:\s*(\d+)$/m.exec(status)?.[1] ?? Number.NaN);
}
