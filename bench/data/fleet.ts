import { readProcessMemory } from '../../src/system/process-memory.js';
import { RedisServer } from '../../test/servers/redis.js';
import {
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { closedLoop, Tally } from '../harness/load.js';
import { allowedCores, pin } from '../harness/machine/cores.js';
import { bundledModel, type CachedModel, syntheticModel } from '../harness/models.js';
import { serverProgramOf } from '../harness/programs/test-servers.js';
import { NO_RECYCLING, type StartedServer, startServer, UNCACHED } from '../harness/server.js';
import { median, quantile, rounded, spread } from '../harness/spread.js';
import { Texts } from '../harness/users/texts.js';

const MOST_EXTRA_MS = 0.2;
const MOST_MEMORY_RATIO = 1.5;
const SERVERS = [1, 2, 3];
const USERS = 8;
/** Part of the machine's memory that all servers together may use. */
const LINE_PERCENT = 75;
const SIZES = {
  full: { seconds: 20, rounds: 15, asks: 400 },
  quick: { seconds: 3, rounds: 3, asks: 100 },
};
const MB = 2 ** 20;

export const fleet: Benchmark = {
  name: 'fleet',
  about:
    'failed requests, cost of a shared session and memory (PSS) of 1, 2 and 3 servers on this machine that share sessions',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { defer, progress } = context;
  const size = sizeOf(context, SIZES);
  const store = await RedisServer.start(await serverProgramOf('redis'));
  defer(() => store.stop());
  const model = await syntheticModel('bert-base', progress);
  const fleets: Ran[] = [];
  for (const servers of SERVERS) {
    progress.say(`${servers} ${servers === 1 ? 'server' : 'servers'}`);
    fleets.push(await runFleet(context, store, model, servers, size.seconds));
  }
  const cost = await costOfSharing(context, store, size);
  return outcomeOf(fleets, cost);
}

interface Ran {
  readonly servers: number;
  readonly requests: number;
  readonly failures: readonly string[];
  readonly perSecond: number;
  readonly pssMb: number;
}

/** So many servers with one core each, and as many sessions of eight users, each of whom asks all servers in turn. */
async function runFleet(
  context: Context,
  store: RedisServer,
  model: CachedModel,
  count: number,
  seconds: number,
): Promise<Ran> {
  const settings = {
    ...{ ...UNCACHED, ...NO_RECYCLING, 'worker.count': 1, 'worker.threads': 1 },
    ...{ 'redis.url': store.url(), 'cache.secret': `fleet of ${count}` },
    // As docs/fleet.md says of servers that divide a machine: each counts what it holds itself.
    'memory.load_line': `${Math.floor(LINE_PERCENT / count)}%`,
    'memory.load_of': 'server',
  };
  const servers: StartedServer[] = [];
  for (let at = 0; at < count; at += 1) {
    servers.push(await startServer(context, { models: [model], settings }));
  }
  try {
    for (const { api } of servers) await api.load(model.id);
    await pinEach(servers);
    return await load(servers, model, seconds);
  } finally {
    for (const server of servers) await server.stop();
  }
}

/** A core for each server; with fewer cores than servers some share one. */
async function pinEach(servers: readonly StartedServer[]): Promise<void> {
  const cores = allowedCores();
  for (const [at, { api }] of servers.entries()) {
    const { processes } = await api.memory();
    for (const { pid } of processes) pin(pid, cores[at % cores.length] ?? 0);
  }
}

async function load(
  servers: readonly StartedServer[],
  model: CachedModel,
  seconds: number,
): Promise<Ran> {
  const apis = servers.map(({ api }) => api);
  const sessions = await Promise.all(apis.map((api) => api.openSession()));
  const tally = new Tally();
  const texts = new Texts(5);
  const begun = performance.now();
  let sent = 0;
  await closedLoop(
    USERS * sessions.length,
    () => performance.now() - begun < 1000 * seconds,
    async (user) => {
      sent += 1;
      const api = apis[sent % apis.length];
      const session = sessions[user % sessions.length];
      if (api === undefined || session === undefined) return false;
      const of = { model: model.id, inputs: texts.next(60), session, user: `user-${user}` };
      return tally.take(await api.classify(of));
    },
  );
  const took = (performance.now() - begun) / 1000;
  const pssMb = await pssOf(servers);
  // Ended elsewhere than opened: every server cleans up.
  for (const [at, session] of sessions.entries()) {
    await apis[(at + 1) % apis.length]?.endSession(session);
  }
  return {
    servers: servers.length,
    requests: tally.replies.length,
    failures: tally.failures,
    perSecond: tally.replies.length / took,
    pssMb,
  };
}

/** PSS of all processes of all servers, now: what they share counts once. */
async function pssOf(servers: readonly StartedServer[]): Promise<number> {
  let bytes = 0;
  for (const { api } of servers) {
    for (const { pid } of (await api.memory()).processes) {
      bytes += (await readProcessMemory(pid))?.pssBytes ?? 0;
    }
  }
  return bytes / MB;
}

/** What a request in a shared session takes longer than in one of a server alone; answered from memory, so that nothing hides it. */
async function costOfSharing(
  context: Context,
  store: RedisServer,
  { rounds, asks }: { readonly rounds: number; readonly asks: number },
): Promise<{ readonly alone: number[]; readonly shared: number[] }> {
  const start = (settings: Readonly<Record<string, string>>) =>
    startServer(context, { models: [bundledModel], settings: { 'worker.count': 1, ...settings } });
  const alone = await start({});
  const shared = await start({ 'redis.url': store.url(), 'cache.secret': 'cost' });
  const took = { alone: [] as number[], shared: [] as number[] };
  const sides = [
    [alone, took.alone],
    [shared, took.shared],
  ] as const;
  const sessions = new Map<StartedServer, string>();
  for (const [server] of sides) sessions.set(server, await server.api.openSession());
  // In turn, so that whatever else the machine does meets both alike; the first round warms up.
  for (let round = -1; round < rounds; round += 1) {
    context.progress.at(`cost, round ${round + 1} of ${rounds}`);
    for (const [server, medians] of sides) {
      const session = sessions.get(server) ?? '';
      const ms = await roundOf(server, session, asks);
      if (round >= 0) medians.push(median(ms));
    }
  }
  for (const [server] of sides) await server.stop();
  return took;
}

async function roundOf(server: StartedServer, session: string, asks: number) {
  const ms: number[] = [];
  for (let ask = 0; ask < asks; ask += 1) {
    const of = { model: bundledModel.id, inputs: 'Hello', session, user: `user-${ask % USERS}` };
    const reply = await server.api.classify(of);
    if (reply.status !== 200) throw new Error(`the server answered ${reply.status}`);
    ms.push(reply.ms);
  }
  return ms;
}

function outcomeOf(
  fleets: readonly Ran[],
  cost: { readonly alone: number[]; readonly shared: number[] },
): Outcome {
  const failures = fleets.flatMap((of) => of.failures);
  const [one, most] = [fleets[0], fleets.at(-1)];
  const ratio = rounded((most?.pssMb ?? Number.NaN) / (one?.pssMb ?? Number.NaN));
  const extra = cost.shared.map((ms, round) => ms - (cost.alone[round] ?? Number.NaN));
  const extraMs = rounded(median(extra), 3);
  const cores = allowedCores().length;
  return {
    headline: `${failures.length} failed; ${extraMs} ms more a request; ${ratio} × the memory`,
    checks: [
      exactly('failed requests', failures.length, 0),
      atMost(
        'a request in a shared session − in one of a server alone',
        extraMs,
        MOST_EXTRA_MS,
        ' ms',
      ),
      atMost('PSS of 3 servers ÷ of 1', ratio, MOST_MEMORY_RATIO),
    ],
    facts: [
      ...fleets.map(({ servers, perSecond, requests, pssMb }) => ({
        fact: `${servers} ${servers === 1 ? 'server' : 'servers'}`,
        value: `${perSecond.toFixed(1)} requests/s (${requests}), PSS ${pssMb.toFixed(0)} MB`,
      })),
      {
        fact: 'cores',
        value:
          cores < SERVERS.length
            ? `${cores}: 3 servers with a core each were not run here, two of them shared one`
            : `${cores}, one for each server`,
      },
      { fact: 'request in a session of a server alone', value: spread(cost.alone, ' ms', 3) },
      { fact: 'request in a shared session', value: spread(cost.shared, ' ms', 3) },
    ],
    details: {
      definition:
        'bert-base, 60 tokens, 8 users a session, as many sessions as servers, every user asks all servers in turn; ' +
        `memory.load_line of ${LINE_PERCENT} % divided by the servers with memory.load_of=server; the cost is the median of cached answers, in turn on both servers`,
      fleets,
      cost,
      extra_p90_ms: quantile(extra, 0.9),
      failures: failures.slice(0, 20),
    },
  };
}
