import { sql } from 'kysely';
import type { PoolLimits } from '../../src/pools/pool.js';
import { openPostgres } from '../../src/store/databases/postgres.js';
import { PostgresqlServer } from '../../test/servers/postgresql.js';
import {
  atLeast,
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { pause } from '../harness/load.js';
import { serverProgramOf } from '../harness/programs/test-servers.js';
import { latencies } from '../harness/spread.js';

const USERS = 200;
const CHECKOUTS = { full: 10_000, quick: 2000 };
const LIMITS: PoolLimits = {
  min: 2,
  max: 10,
  waitMs: 30_000,
  idleMs: 10_000,
  /** Short: every connection is replaced several times in one run. */
  lifetimeMs: 300,
  checkAfterIdleMs: 5000,
};

/** From the pool's decision until the user reads the clock, on a busy machine. */
const CHECKOUT_DELAY_MS = 50;
const SERVER_MS = 3000;

export const pools: Benchmark = {
  name: 'pools',
  about: `checkouts that fail when ${USERS} users share a pool of ${LIMITS.max} connections to PostgreSQL`,
  run,
};

/** A connection of the pool as PostgreSQL sees it. */
interface Seen {
  readonly firstMs: number;
  lastMs: number;
}

/** What the users met. */
interface Load {
  /** By process id of PostgreSQL. */
  readonly seen: ReadonlyMap<number, Seen>;
  readonly waitsMs: readonly number[];
  readonly failures: number;
  /** Most connections that were open at a time. */
  readonly most: number;
}

type Opened = Awaited<ReturnType<typeof openPostgres>>;

async function run(context: Context): Promise<Outcome> {
  const { defer } = context;
  const server = await PostgresqlServer.start(await serverProgramOf('postgresql'));
  defer(() => server.stop());
  const { database, pool } = await openPostgres({
    ...{ url: server.url(), limits: LIMITS, schema: 'plimsoll' },
  });
  defer(() => pool.close());
  const total = sizeOf(context, CHECKOUTS);
  const load = await shareThePool(pool, total);
  const { figures } = pool;
  await pool.shrink();
  const { figures: after } = pool;
  const unknown = await countedSoon(0, () => unknownConnections(database, pool));
  // They are idle now: the pool replaces them by itself.
  await pause(2 * LIMITS.lifetimeMs);
  const old = await countedSoon(0, () => connectionsStillThere(database, [...load.seen.keys()]));
  return {
    headline: `${load.failures} of ${figures.checkouts.toLocaleString('en-US')}; ${figures.recycled} connections replaced for their age`,
    checks: [
      exactly('failed checkouts', load.failures, 0),
      exactly('checkouts', figures.checkouts, total),
      exactly('connections in use afterwards', figures.inUse, 0),
      exactly('users still waiting', figures.waiting, 0),
      exactly('most connections above the maximum', Math.max(0, load.most - LIMITS.max), 0),
      exactly('connections opened less recycled, broken and open', unaccounted(figures), 0),
      exactly(
        'connections above the minimum after a shrink',
        Math.max(0, after.open - LIMITS.min),
        0,
      ),
      exactly('more at the server than the pool knows', unknown, 0),
      exactly('handed out beyond their lifetime', overAge(load), 0),
      exactly('of this load, still there afterwards', old, 0),
      atLeast('connections replaced for their age', figures.recycled, LIMITS.max),
    ],
    facts: [
      { fact: 'wait for a connection', value: latencies(load.waitsMs) },
      { fact: 'connections opened', value: String(figures.opened) },
    ],
    details: { limits: LIMITS, users: USERS, figures, after },
  };
}

/** All users take a connection again and again, until there were so many checkouts. */
async function shareThePool(pool: Opened['pool'], total: number): Promise<Load> {
  const seen = new Map<number, Seen>();
  const waitsMs: number[] = [];
  let [begun, failures, most] = [0, 0, 0];
  const checkout = async () => {
    const sinceMs = performance.now();
    await pool.use(async (client) => {
      const atMs = performance.now();
      waitsMs.push(atMs - sinceMs);
      most = Math.max(most, pool.figures.open);
      const { rows } = await client.query<{ pid: number }>(
        'select pg_backend_pid() as pid, pg_sleep(0.001)',
      );
      const pid = rows[0]?.pid ?? -1;
      const known = seen.get(pid);
      if (known === undefined) seen.set(pid, { firstMs: atMs, lastMs: atMs });
      else known.lastMs = atMs;
    });
  };
  const user = async () => {
    while (begun < total) {
      begun += 1;
      await checkout().catch(() => {
        failures += 1;
      });
    }
  };
  await Promise.all(Array.from({ length: USERS }, user));
  return { seen, waitsMs, failures, most };
}

/** Connections that were handed out beyond their lifetime. */
function overAge({ seen }: Load): number {
  return [...seen.values()].filter(
    ({ firstMs, lastMs }) => lastMs - firstMs >= LIMITS.lifetimeMs + CHECKOUT_DELAY_MS,
  ).length;
}

/** Connections at the server beyond those that the pool counts. */
async function unknownConnections(
  database: Opened['database'],
  pool: Opened['pool'],
): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from pg_stat_activity
    where backend_type = 'client backend' and pid <> pg_backend_pid()`.execute(database);
  return Math.max(0, (rows[0]?.count ?? Number.NaN) + 1 - pool.figures.open);
}

async function connectionsStillThere(
  database: Opened['database'],
  pids: readonly number[],
): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from pg_stat_activity
    where pid in (${sql.join([...pids])})`.execute(database);
  return rows[0]?.count ?? Number.NaN;
}

/** A PostgreSQL process ends some moments after its connection: polled until then, within a time limit. */
async function countedSoon(wanted: number, count: () => Promise<number>): Promise<number> {
  const until = performance.now() + SERVER_MS;
  for (;;) {
    const found = await count();
    if (found === wanted || performance.now() >= until) return found;
    await pause(20);
  }
}

function unaccounted(of: { opened: number; recycled: number; broken: number; open: number }) {
  return of.opened - of.recycled - of.broken - of.open;
}
