import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { PostgresqlServer } from '../../test/servers/postgresql.js';
import { RedisServer } from '../../test/servers/redis.js';
import {
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { bundledModel } from '../harness/models.js';
import { temporaryFolder } from '../harness/program.js';
import { serverProgramOf } from '../harness/programs/test-servers.js';
import { type StartedServer, startServer } from '../harness/server.js';
import { distinctMails, realMails } from '../harness/users/mails.js';
import { JobClient, writeRows } from './job-runs.js';

const SERVERS = 3;
const BETWEEN_MS = 5000;
/** Redis and PostgreSQL stay away, or stand still, for so long. */
const AWAY_MS = 2500;
const SHARD_ROWS = 100;
const SIZES = { full: { rows: 200_000 }, quick: { rows: 8000 } };

export const bulkChaos: Benchmark = {
  name: 'bulk-chaos',
  about: `rows that are missing or double in a job of ${SERVERS} servers while one of them, Redis or PostgreSQL is killed every 5 s`,
  notInAll: true,
  run,
};

interface Fleet {
  readonly redis: RedisServer;
  readonly database: PostgresqlServer;
  readonly servers: StartedServer[];
  readonly startOne: () => Promise<StartedServer>;
}

async function run(context: Context): Promise<Outcome> {
  const { rows } = sizeOf(context, SIZES);
  const folder = await temporaryFolder(context, 'bulk-chaos');
  const input = path.join(folder, 'in', 'mails.jsonl');
  const output = path.join(folder, 'out');
  const mails = [...realMails()].sort((a, b) => a.length - b.length).slice(0, 100);
  await writeRows(input, 'jsonl', rows, distinctMails(mails));
  const fleet = await startFleet(context, folder);
  const [first] = fleet.servers;
  if (first === undefined) throw new Error('there is no server');
  const request = { input, output, model: bundledModel.id, id: 'id', shard_rows: SHARD_ROWS };
  const { id } = await new JobClient(first).submit(request);
  const killed = { server: 0, Redis: 0, PostgreSQL: 0 };
  let isOver = false;
  const chaos = disturb(fleet, killed, () => isOver);
  const state = await followed(context, fleet, id);
  isOver = true;
  await chaos;
  const found = await judge(output, rows);
  for (const server of fleet.servers) await server.stop();
  return {
    headline: `${found.missing} missing, ${found.double} double of ${rows} rows; ${killed.server} servers, ${killed.Redis} × Redis, ${killed.PostgreSQL} × PostgreSQL killed`,
    checks: [
      exactly('job is done', state === 'done' ? 1 : 0, 1),
      exactly('rows that are missing', found.missing, 0),
      exactly('rows that are double', found.double, 0),
      exactly('parts that are not as the manifest says', found.wrongParts, 0),
      exactly('files that the manifest does not name', found.strangers, 0),
    ],
    facts: Object.entries(killed).map(([what, times]) => ({
      fact: `${what} killed`,
      value: `${times} times`,
    })),
    details: { rows, killed, ...found },
  };
}

async function startFleet(context: Context, folder: string): Promise<Fleet> {
  const redis = await RedisServer.start(await serverProgramOf('redis'), 'kept');
  context.defer(() => redis.stop());
  const database = await PostgresqlServer.start(await serverProgramOf('postgresql'));
  context.defer(() => database.stop());
  const settings = {
    ...{ 'jobs.folders': folder, 'jobs.url': redis.url(), 'jobs.lock_ms': 3000 },
    ...{ 'database.url': database.url(), 'cache.secret': 'of this benchmark', 'worker.count': 1 },
    // A machine that is killed counts as an attempt, and here one is every few seconds.
    'jobs.attempts': 50,
  };
  const startOne = () => startServer(context, { models: [bundledModel], settings });
  const servers: StartedServer[] = [];
  for (let n = 0; n < SERVERS; n += 1) servers.push(await startOne());
  return { redis, database, servers, startOne };
}

/** Every few seconds one of the three kinds is killed; what was killed comes back. */
async function disturb(
  fleet: Fleet,
  killed: { server: number; Redis: number; PostgreSQL: number },
  isOver: () => boolean,
): Promise<void> {
  for (let turn = 0; !isOver(); turn += 1) {
    await pause(BETWEEN_MS);
    if (isOver()) return;
    if (turn % 3 === 0) {
      const [victim] = fleet.servers.splice(0, 1);
      if (victim !== undefined) process.kill(victim.pid, 'SIGKILL');
      killed.server += 1;
      fleet.servers.push(await fleet.startOne());
    } else {
      const [store, name] =
        turn % 3 === 1 ? [fleet.redis, 'Redis' as const] : [fleet.database, 'PostgreSQL' as const];
      await store.kill();
      killed[name] += 1;
      await pause(AWAY_MS);
      await store.restart();
    }
  }
}

/** @returns the state in which the job ended */
async function followed(context: Context, fleet: Fleet, id: string): Promise<string> {
  for (;;) {
    const server = fleet.servers.at(-1);
    try {
      const job = server && (await new JobClient(server).show(id));
      if (job !== undefined && job.ended_at !== null) return job.state;
      context.progress.at(`${job?.shards.done ?? 0} of ${job?.shards.known ?? 0} shards`);
    } catch {
      // Whoever is asked may have been killed, or what it asks.
    }
    await pause(500);
  }
}

async function judge(output: string, rows: number) {
  const names = await readdir(output);
  const [manifestName = ''] = names.filter((name) => name.startsWith('manifest-'));
  const { parts } = JSON.parse(await readFile(path.join(output, manifestName), 'utf8')) as {
    readonly parts: readonly {
      readonly part: string;
      readonly rows: number;
      readonly sha256: string;
    }[];
  };
  const seen = new Uint8Array(rows);
  let wrongParts = 0;
  for (const { part, sha256, rows: count } of parts.filter((of) => of.part !== null)) {
    const content = await readFile(path.join(output, part));
    const lines = content.toString().trim().split('\n');
    const hash = createHash('sha256').update(content).digest('hex');
    if (hash !== sha256 || lines.length !== count) wrongParts += 1;
    for (const line of lines) {
      const { id } = JSON.parse(line) as { readonly id: number };
      seen[id] = (seen[id] ?? 0) + 1;
    }
  }
  return {
    missing: seen.filter((times) => times === 0).length,
    double: seen.filter((times) => times > 1).length,
    wrongParts,
    strangers: names.length - parts.length - 1,
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
