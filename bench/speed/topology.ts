import { availableCpus } from '../../src/system/cpus.js';
import {
  atLeast,
  type Benchmark,
  type Context,
  type Fact,
  type Outcome,
} from '../harness/benchmark.js';
import type { CachedModel } from '../harness/models.js';
import { startServer } from '../harness/server.js';
import { latencies, median, rounded, spread } from '../harness/spread.js';
import { closedUsers, warmUp } from './closed-users.js';
import { mailSource, realMails } from './mails.js';
import { measuredModels } from './measured-models.js';

/** The default way may be behind the best of the others by this much at 32 users. */
const LEAST_RATIO = 0.95;
const USERS = 32;
const FULL = { rounds: 3, ms: 8000 };
const QUICK = { rounds: 1, ms: 3000 };

/** Workers × threads: what a lone user waits, and what many get through. */
export const topology: Benchmark = {
  name: 'topology',
  about: 'one worker with all threads against one worker for each core: 1 user and 32 users',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const cores = Math.max(1, Math.floor(await availableCpus()));
  const models = await measuredModels(context, ['minilm', 'bert-base']);
  const checks = [];
  const facts: Fact[] = [];
  const ways = [
    { workers: cores, threads: 1 },
    { workers: 1, threads: cores },
  ];
  for (const model of models) {
    const results = ways.map(() => ({ rates: [] as number[], lone: [] as number[] }));
    const { rounds, ms } = context.quick ? QUICK : FULL;
    for (let round = 1; round <= rounds; round += 1) {
      for (const [at, way] of ways.entries()) {
        context.progress.at(`${model.id}: ${way.workers}×${way.threads}, round ${round}`);
        const got = await measure(context, model, way, ms);
        results[at]?.rates.push(got.rate);
        results[at]?.lone.push(...got.lone);
      }
    }
    for (const [at, { workers, threads }] of ways.entries()) {
      const name = `${model.id}, ${workers} workers × ${threads} threads`;
      facts.push(
        { fact: `${name}: 32 users`, value: spread(results[at]?.rates ?? [], ' items/s', 1) },
        { fact: `${name}: 1 user`, value: latencies(results[at]?.lone ?? []) },
      );
    }
    const [first = 0, second = 0] = results.map(({ rates }) => median(rates));
    const ratio = rounded(first / Math.max(first, second));
    checks.push(atLeast(`${model.id}: default’s items/s ÷ best`, ratio, LEAST_RATIO));
  }
  return { checks, facts, details: { cores } };
}

async function measure(
  context: Context,
  model: CachedModel,
  { workers, threads }: { readonly workers: number; readonly threads: number },
  ms: number,
) {
  const settings = {
    'cache.max_size': 0,
    'session.max_users': 1000,
    'worker.count': workers,
    'worker.threads': threads,
  };
  const server = await startServer(context, { models: [model], settings });
  const nextText = mailSource(realMails());
  try {
    const users = (count: number) =>
      closedUsers(server.api, count, ms / 2, () => model.id, nextText);
    await warmUp(server.api, USERS, model.id, nextText);
    return { rate: (await users(USERS)).itemsPerSecond, lone: (await users(1)).ms };
  } finally {
    await server.stop();
  }
}
