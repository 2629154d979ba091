import { availableCpus } from '../../src/system/cpus.js';
import {
  atLeast,
  type Benchmark,
  type Check,
  type Context,
  type Fact,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { isMeasured, measuredOr } from '../harness/checks.js';
import { type CachedModel, measuredModels, titleOf } from '../harness/models.js';
import { ROOMY_SESSIONS, startServer, UNCACHED } from '../harness/server.js';
import { latencies, median, range, rounded, spread } from '../harness/spread.js';
import { closedUsers, measuredUsers, warmUp } from '../harness/users/closed-users.js';
import { mailSource, realMails } from '../harness/users/mails.js';

const LEAST_RATIO = 0.95;
const USERS = 32;
const SIZES = { full: { rounds: 3, ms: 8000 }, quick: { rounds: 1, ms: 3000 } };

export const topology: Benchmark = {
  name: 'topology',
  about: `items/s of ${USERS} users with one worker for each core (the default), as a part of the best way`,
  run,
};

/** Workers × threads of each. */
interface Way {
  readonly workers: number;
  readonly threads: number;
}

interface Tried {
  readonly way: Way;
  readonly rates: number[];
  /** Latencies of a lone user, in ms. */
  readonly lone: number[];
}

async function run(context: Context): Promise<Outcome> {
  const cores = Math.max(1, Math.floor(await availableCpus()));
  const checks: Check[] = [];
  const facts: Fact[] = [];
  const ratios: number[] = [];
  for (const model of await measuredModels(context, ['minilm', 'bert-base'])) {
    const claim = `${model.id}: items/s with the default ÷ with the best way`;
    const tried = await measuredOr(() => tryWays(context, model, cores));
    if (!isMeasured(tried)) {
      checks.push(atLeast(claim, tried, LEAST_RATIO));
      continue;
    }
    const rates = tried.map((of) => median(of.rates));
    const ratio = rounded((rates[0] ?? Number.NaN) / Math.max(...rates));
    ratios.push(ratio);
    checks.push(atLeast(claim, ratio, LEAST_RATIO));
    facts.push(...tried.flatMap((of) => factsOf(model, of)));
  }
  return {
    headline: `${range(ratios, 2)} of it`,
    ...{ checks, facts, details: { cores } },
  };
}

/** The default first, then one worker with all threads, in turn. */
async function tryWays(context: Context, model: CachedModel, cores: number): Promise<Tried[]> {
  const { rounds, ms } = sizeOf(context, SIZES);
  const ways = [
    { workers: cores, threads: 1 },
    { workers: 1, threads: cores },
  ];
  const tried = ways.map((way): Tried => ({ way, rates: [], lone: [] }));
  for (let round = 1; round <= rounds; round += 1) {
    for (const { way, rates, lone } of tried) {
      const name = `${titleOf(model.id)}: ${way.workers}×${way.threads}`;
      context.progress.at(`${name}, round ${round} of ${rounds}`);
      const got = await measure(context, model, way, ms);
      rates.push(got.rate);
      lone.push(...got.lone);
    }
  }
  return tried;
}

async function measure(context: Context, model: CachedModel, way: Way, ms: number) {
  const settings = {
    ...UNCACHED,
    ...ROOMY_SESSIONS,
    'worker.count': way.workers,
    'worker.threads': way.threads,
  };
  const server = await startServer(context, { models: [model], settings });
  const nextText = mailSource(realMails());
  const options = { ms: ms / 2, modelOf: () => model.id, nextText };
  try {
    await warmUp(server.api, USERS, model.id, nextText);
    const many = await measuredUsers(server.api, { ...options, users: USERS });
    const lone = await closedUsers(server.api, { ...options, users: 1 });
    return { rate: many.itemsPerSecond, lone: lone.ms };
  } finally {
    await server.stop();
  }
}

function factsOf(model: CachedModel, { way, rates, lone }: Tried): readonly Fact[] {
  const name = `${model.id}, ${way.workers} workers × ${way.threads} threads`;
  return [
    { fact: `${name}: ${USERS} users`, value: spread(rates, ' items/s', 1) },
    { fact: `${name}: 1 user`, value: latencies(lone) },
  ];
}
