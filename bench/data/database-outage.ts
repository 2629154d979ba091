import pg from 'pg';
import { PostgresqlServer } from '../../test/servers/postgresql.js';
import type { Api } from '../harness/api.js';
import {
  atLeast,
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { pause, rollingSessions, Tally } from '../harness/load.js';
import { syntheticModel } from '../harness/models.js';
import { serverProgramOf } from '../harness/programs/test-servers.js';
import { startServer, UNCACHED } from '../harness/server.js';
import { latencies, summary } from '../harness/spread.js';
import { Texts } from '../harness/users/texts.js';

/** Duration before, during and after the outage. */
const SECONDS = {
  full: { before: 10, away: 20, after: 10 },
  quick: { before: 2, away: 4, after: 2 },
};
const USERS = 8;
const REQUESTS_PER_USER = 10;
/** Time limit for the rows in the file to be in the database. */
const CATCH_UP_MS = 60_000;

export const databaseOutage: Benchmark = {
  name: 'database-outage',
  about:
    'requests that fail, and records that are lost, while PostgreSQL is killed under load for 20 s',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { progress, defer } = context;
  const database = await PostgresqlServer.start(await serverProgramOf('postgresql'));
  defer(() => database.stop());
  const model = await syntheticModel('minilm', progress);
  const server = await startServer(context, {
    models: [model],
    settings: { ...UNCACHED, 'database.url': database.url(), 'records.keep_text': 'true' },
  });
  const played = await play(context, server.api, model.id, database);
  const spilled = await server.api.metric('plimsoll_records_spilled_total');
  const lost = await server.api.metric('plimsoll_records_lost_total');
  // The server writes what is still in memory when it stops.
  await server.stop();
  return outcomeOf(context, played, { spilled, lost, kept: await readAll(database.url()) });
}

interface Played {
  readonly tally: Tally;
  /** Texts that were answered. */
  readonly answered: readonly string[];
  /** Sessions that were opened and ended. */
  readonly sessions: number;
  /** In ms since 1970: the database was ended, it was started again, and all rows were in it. */
  readonly awayAt: number;
  readonly backAt: number;
  readonly caughtUpAt: number;
}

/** Users work before, during and after the outage. */
async function play(
  context: Context,
  api: Api,
  model: string,
  database: PostgresqlServer,
): Promise<Played> {
  const seconds = sizeOf(context, SECONDS);
  const texts = new Texts(11);
  const tally = new Tally();
  const answered: string[] = [];
  let over = false;
  const load = rollingSessions(api, {
    users: USERS,
    requestsPerUser: REQUESTS_PER_USER,
    goOn: () => !over,
    send: async (session, user) => {
      const text = texts.next();
      context.progress.at(`${tally.replies.length} answers, ${tally.failures.length} failures`);
      const ok = tally.take(await api.classify({ model, session, user, inputs: text }));
      if (ok) answered.push(text);
      return ok;
    },
  });
  await pause(seconds.before * 1000);
  await database.kill();
  const awayAt = Date.now();
  await pause(seconds.away * 1000);
  await database.restart();
  const backAt = Date.now();
  const catchUp = caughtUp(api);
  await pause(seconds.after * 1000);
  over = true;
  const [sessions, caughtUpAt] = await Promise.all([load, catchUp]);
  return { tally, answered, sessions, awayAt, backAt, caughtUpAt };
}

interface Rows {
  readonly spilled: number;
  readonly lost: number;
  readonly kept: Awaited<ReturnType<typeof readAll>>;
}

function outcomeOf(context: Context, played: Played, { spilled, lost, kept }: Rows): Outcome {
  const { tally, answered, sessions, awayAt, backAt, caughtUpAt } = played;
  const seconds = sizeOf(context, SECONDS);
  const known = new Set(kept.texts);
  const during = tally.replies
    .filter(({ sentAtMs }) => sentAtMs >= awayAt && sentAtMs < backAt)
    .map(({ ms }) => ms);
  const before = tally.replies.filter(({ sentAtMs }) => sentAtMs < awayAt).map(({ ms }) => ms);
  const missing = answered.filter((text) => !known.has(text)).length;
  const sent = tally.replies.length + tally.failures.length;
  return {
    headline: `${tally.failures.length} of ${sent.toLocaleString('en-US')} requests, ${missing} records`,
    checks: [
      exactly('failed requests', tally.failures.length, 0),
      exactly('records missing', missing, 0),
      exactly('records double', kept.texts.length - known.size, 0),
      exactly('records of nothing that was answered', known.size - new Set(answered).size, 0),
      exactly('sessions not kept as ended', sessions - kept.ended, 0),
      exactly('sessions without their receipt', sessions - kept.receipts, 0),
      exactly('records lost, by the server’s count', lost, 0),
      atLeast('requests while it was away', during.length, context.quick ? 20 : 200),
    ],
    facts: [
      ...tally.failureFacts,
      { fact: 'answers', value: `${answered.length} in ${sessions} sessions` },
      { fact: 'rows that went through the file', value: String(spilled) },
      { fact: 'all of them in the database after', value: `${caughtUpAt - backAt} ms` },
      { fact: 'before', value: latencies(before) },
      { fact: 'while it was away', value: latencies(during) },
    ],
    details: {
      definition:
        `minilm, no result cache; ${seconds.before} s, then PostgreSQL is ended at once (SIGQUIT) for ${seconds.away} s, ` +
        `then ${seconds.after} s more; each text is sent once, and the record of each answer has its text`,
      failures: tally.firstFailures,
      rows: { records: kept.texts.length, sessions: kept.ended, receipts: kept.receipts },
      during_ms: summary(during),
    },
  };
}

/** When the spill file was empty, in ms since 1970. */
async function caughtUp(api: Api): Promise<number> {
  const until = Date.now() + CATCH_UP_MS;
  while (Date.now() < until) {
    const waiting = await api.metric('plimsoll_records_spilled_bytes');
    if (waiting === 0 && (await api.metric('plimsoll_database_up')) === 1) break;
    await pause(50);
  }
  return Date.now();
}

async function readAll(url: string) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ input: string }>('select input from plimsoll.records');
    const count = async (query: string) =>
      (await client.query<{ count: number }>(`select count(*)::int as count from ${query}`)).rows[0]
        ?.count ?? Number.NaN;
    return {
      texts: rows.map(({ input }) => input),
      ended: await count("plimsoll.sessions where state = 'ended'"),
      receipts: await count("plimsoll.receipts where kind = 'cleanup' and session is not null"),
    };
  } finally {
    await client.end();
  }
}
