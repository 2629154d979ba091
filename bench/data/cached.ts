import { RedisServer } from '../../test/servers/redis.js';
import {
  atLeast,
  atMost,
  type Benchmark,
  type Check,
  type Context,
  exactly,
  type Fact,
  NotRunError,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { type Child, startChild } from '../harness/child.js';
import { allowedCores, pin } from '../harness/machine/cores.js';
import { cpuMs } from '../harness/machine/cpu-time.js';
import { bundledModel } from '../harness/models.js';
import { serverProgramOf } from '../harness/programs/test-servers.js';
import { startServer, UNCACHED } from '../harness/server.js';
import { latencies, median, rounded, spread } from '../harness/spread.js';
import { realMails } from '../harness/users/mails.js';
import type { LoadJob, LoadResult } from './http-load-main.js';

/** Required share of the bare route's requests per second. */
const LEAST = { memory: 0.7, redis: 0.45 };
/** Above this share of its core the client would be measured, not the server. */
const MAX_CLIENT_SHARE = 0.85;
/** Below this share of its core the bare route waited for other programs: the rates say nothing. */
const MIN_SERVER_SHARE = 0.8;
const CONNECTIONS = 32;
const TEXTS = 200;
const SIZES = {
  full: { rounds: 9, ms: 3000, warmUpMs: 6000 },
  quick: { rounds: 2, ms: 1000, warmUpMs: 2000 },
};

export const cached: Benchmark = {
  name: 'cached',
  about:
    'requests/s answered from memory and from Redis, as parts of those of a bare fastify route',
  run,
};

type Way = 'bare' | 'memory' | 'redis';
const WAYS: readonly Way[] = ['bare', 'memory', 'redis'];

interface Target {
  readonly pid: number;
  readonly port: number;
  readonly wanted: string;
}

interface Turn {
  readonly perSecond: number;
  readonly serverUsPerRequest: number;
  readonly serverShare: number;
  readonly clientShare: number;
  readonly result: LoadResult;
}

async function run(context: Context): Promise<Outcome> {
  const { progress } = context;
  const { rounds, ms, warmUpMs } = sizeOf(context, SIZES);
  const [serverCore, clientCore] = allowedCores();
  if (serverCore === undefined || clientCore === undefined) {
    throw new NotRunError('two cores are needed: one for the server, one for its client');
  }
  const client = startChild(context, 'data/http-load-main', []);
  pin(client.process.pid ?? 0, clientCore);
  const bodies = realMails()
    .slice(0, TEXTS)
    .map((inputs) => JSON.stringify({ inputs }));
  const targets = await startTargets(context, bodies, serverCore, clientCore);
  const turns: Record<Way, Turn[]> = { bare: [], memory: [], redis: [] };
  for (const way of WAYS) {
    progress.at(`warming up: ${way}`);
    await turnOf(client, targets[way], bodies, warmUpMs);
  }
  for (let round = 1; round <= rounds; round += 1) {
    progress.at(`round ${round} of ${rounds}`);
    for (const way of WAYS) turns[way].push(await turnOf(client, targets[way], bodies, ms));
  }
  return outcomeOf(turns);
}

/** The three servers; each is idle except in its own turns. */
async function startTargets(
  context: Context,
  bodies: readonly string[],
  serverCore: number,
  clientCore: number,
): Promise<Record<Way, Target>> {
  const store = await RedisServer.start(await serverProgramOf('redis'));
  context.defer(() => store.stop());
  pin(store.pid, clientCore);
  const models = [bundledModel];
  const memory = await startServer(context, { models });
  const redis = await startServer(context, {
    models,
    settings: { ...UNCACHED, 'redis.url': store.url(), 'cache.secret': 'bench' },
  });
  for (const { api } of [memory, redis]) {
    for (const body of bodies) {
      const { status } = await api.classify(JSON.parse(body));
      if (status !== 200) throw new Error(`a text was not classified: ${status}`);
    }
  }
  const { body: answer } = await memory.api.classify(JSON.parse(bodies[0] ?? ''));
  const bare = startChild(context, 'data/bare-route-main', [], { nodeFlags: [] });
  bare.tell(answer);
  const bareUrl = String(await bare.next());
  const target = (pid: number, url: string, tier: string): Target => {
    pin(pid, serverCore);
    return { pid, port: Number(new URL(url).port), wanted: `"cached":["${tier}"]` };
  };
  return {
    bare: target(bare.process.pid ?? 0, bareUrl, 'memory'),
    memory: target(memory.pid, memory.url, 'memory'),
    redis: target(redis.pid, redis.url, 'redis'),
  };
}

async function turnOf(
  client: Child,
  { pid, port, wanted }: Target,
  bodies: readonly string[],
  ms: number,
): Promise<Turn> {
  const before = cpuMs(pid);
  const job: LoadJob = { port, bodies, connections: CONNECTIONS, ms, wanted };
  client.tell(job);
  const result = (await client.next()) as LoadResult;
  const spentMs = cpuMs(pid) - before;
  return {
    perSecond: result.answered / result.seconds,
    serverUsPerRequest: (spentMs * 1000) / Math.max(1, result.answered),
    serverShare: spentMs / (result.seconds * 1000),
    clientShare: result.cpuMs / (result.seconds * 1000),
    result,
  };
}

function outcomeOf(turns: Readonly<Record<Way, readonly Turn[]>>): Outcome {
  const ratios = (way: Way, of: (turn: Turn) => number) =>
    turns[way].map((turn, round) => of(turn) / of(turns.bare[round] ?? turn));
  const rates = { memory: ratios('memory', perSecond), redis: ratios('redis', perSecond) };
  const every = WAYS.flatMap((way) => turns[way]);
  const wrong = every.reduce((sum, { result }) => sum + result.wrong, 0);
  const clientShare = Math.max(
    ...WAYS.map((way) => median(turns[way].map((of) => of.clientShare))),
  );
  const checks: Check[] = [
    atLeast('from memory ÷ bare route', rounded(median(rates.memory)), LEAST.memory),
    atLeast('from Redis ÷ bare route', rounded(median(rates.redis)), LEAST.redis),
    exactly('answers that failed or came from elsewhere', wrong, 0),
    atMost('client’s share of its core', rounded(clientShare), MAX_CLIENT_SHARE),
    atLeast(
      'bare route’s share of its core',
      rounded(median(turns.bare.map((of) => of.serverShare))),
      MIN_SERVER_SHARE,
    ),
  ];
  const facts: Fact[] = [
    { fact: 'from memory ÷ bare route', value: spread(rates.memory) },
    { fact: 'from Redis ÷ bare route', value: spread(rates.redis) },
    { fact: 'CPU of the bare route ÷ from memory', value: spread(cpuRatios(turns, 'memory')) },
    { fact: 'CPU of the bare route ÷ from Redis', value: spread(cpuRatios(turns, 'redis')) },
    ...WAYS.flatMap((way) => factsOf(way, turns[way])),
  ];
  const firstWrong = every.map(({ result }) => result.firstWrong).find((text) => text !== '');
  if (firstWrong !== undefined) facts.push({ fact: 'a wrong answer', value: firstWrong });
  const details = {
    connections: CONNECTIONS,
    texts: TEXTS,
    turns: Object.fromEntries(
      WAYS.map((way) => [way, turns[way].map(({ result: _, ...of }) => of)] as const),
    ),
  };
  const headline = `${median(rates.memory).toFixed(2)} and ${median(rates.redis).toFixed(2)}`;
  return { headline, checks, facts, details };
}

/** Less affected by other programs than rates are. */
function cpuRatios(turns: Readonly<Record<Way, readonly Turn[]>>, way: Way): readonly number[] {
  return turns[way].map(
    (turn, round) =>
      (turns.bare[round] ?? turn).serverUsPerRequest / Math.max(1, turn.serverUsPerRequest),
  );
}

function perSecond(turn: Turn): number {
  return turn.perSecond;
}

function factsOf(way: Way, turns: readonly Turn[]): readonly Fact[] {
  const of = (figure: (turn: Turn) => number, unit: string, digits: number) =>
    spread(turns.map(figure), unit, digits);
  return [
    { fact: `${way}: requests/s`, value: of(perSecond, '', 0) },
    { fact: `${way}: server CPU`, value: of((turn) => turn.serverUsPerRequest, ' µs/request', 1) },
    {
      fact: `${way}: server’s and client’s share of their cores`,
      value: `${of((turn) => turn.serverShare, '', 2)}; ${of((turn) => turn.clientShare, '', 2)}`,
    },
    { fact: `${way}: latency`, value: latencies(turns.flatMap(({ result }) => result.latencyMs)) },
  ];
}
