import {
  atLeast,
  type Benchmark,
  type Context,
  type Fact,
  NotRunError,
  type Outcome,
} from '../harness/benchmark.js';
import { MemoryCgroup } from '../harness/cgroup.js';
import { type CachedModel, syntheticModels } from '../harness/models.js';
import { startServer } from '../harness/server.js';
import { median, rounded, spread } from '../harness/spread.js';
import { closedUsers } from './closed-users.js';
import { mailSource, spreadMails } from './mails.js';

const LEAST_RATIO = 0.8;
const USERS = 32;
/** Memory of the whole server for the curve, as parts of what the weights of all models take. */
const SHARES = [1, 0.5, 0.25, 0.125];
/** Warming up, the rarest of 64 models is asked some four times: no worker meets many for the first time later. */
const FULL = { counts: [1, 4, 16, 64], rounds: 3, warmMs: 30_000, ms: 10_000 };
const QUICK = { counts: [1, 4], rounds: 1, warmMs: 2000, ms: 4000 };
const MB = 2 ** 20;

/** Many models in turn, some far more popular than others, cost little more than one. */
export const scaleModels: Benchmark = {
  name: 'scale-models',
  about:
    'items/s with 1, 4, 16 and 64 models (minilm), Zipf popularity, against one; then in less memory than their weights take',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { counts, rounds } = context.quick ? QUICK : FULL;
  const models = await syntheticModels('minilm', Math.max(...counts), context.progress);
  const rates = counts.map((): number[] => []);
  for (let round = 1; round <= rounds; round += 1) {
    for (const [at, count] of counts.entries()) {
      context.progress.at(`round ${round} of ${rounds}, ${count} models`);
      rates[at]?.push(await rateOf(context, models.slice(0, count), round));
    }
  }
  const one = median(rates[0] ?? []);
  const ratio = median(rates.at(-1) ?? []) / one;
  const curve = await inLessMemory(context, models);
  return {
    checks: [atLeast(`items/s with ${counts.at(-1)} models ÷ 1`, rounded(ratio), LEAST_RATIO)],
    facts: [
      ...counts.map((count, at) => ({
        fact: `${count} models`,
        value: spread(rates[at] ?? [], ' items/s', 1),
      })),
      ...curve.map(({ share, limitMb, rate, failures }): Fact => {
        const part = `${(rate / one).toFixed(2)} of one model’s`;
        const value = `${rate.toFixed(1)} items/s, ${part}; ${failures} failed`;
        return { fact: `all, in ${limitMb} MB (${share} × their weights)`, value };
      }),
      ...(curve.length === 0 ? [{ fact: 'in less memory', value: 'no writable cgroup here' }] : []),
    ],
    details: { counts, rates, curve },
  };
}

/** What is left of the speed when the page cache cannot hold all weights; empty without a cgroup. */
async function inLessMemory(context: Context, models: readonly CachedModel[]) {
  const weights = models.reduce((sum, { bytes }) => sum + bytes, 0);
  const curve = [];
  for (const share of SHARES) {
    const limit = Math.round(weights * share);
    context.progress.at(`all models in ${share} of their weights`);
    try {
      const cgroup = await MemoryCgroup.create(context, limit);
      const failed: string[] = [];
      const rate = await rateOf(context, models, 1, { cgroup, failed });
      const kills = await cgroup.kills();
      const limitMb = Math.round(limit / MB);
      curve.push({ share, limitMb, rate, failures: failed.length, kills });
    } catch (error) {
      if (error instanceof NotRunError) return [];
      throw error;
    }
  }
  return curve;
}

/** @returns items/s, when it has warmed up */
async function rateOf(
  context: Context,
  models: readonly CachedModel[],
  seed: number,
  place: { readonly cgroup?: MemoryCgroup; readonly failed?: string[] } = {},
): Promise<number> {
  const { warmMs, ms } = context.quick ? QUICK : FULL;
  const settings = { 'cache.max_size': 0, 'session.max_users': 1000 };
  const { cgroup, failed } = place;
  const server = await startServer(context, {
    models,
    settings,
    ...(cgroup === undefined ? {} : { cgroup }),
  });
  const pick = zipf(models.length, seed);
  const modelOf = () => models[pick()]?.id ?? '';
  const nextText = mailSource(spreadMails());
  try {
    await closedUsers(server.api, USERS, warmMs, modelOf, nextText);
    const got = await closedUsers(server.api, USERS, ms, modelOf, nextText);
    failed?.push(...got.tally.failures);
    return got.itemsPerSecond;
  } finally {
    await server.stop();
  }
}

/** Numbers 0 … count − 1; the k-th is 1 ÷ k times as frequent as the first (Zipf, exponent 1). */
function zipf(count: number, seed: number): () => number {
  const weights = Array.from({ length: count }, (_, at) => 1 / (at + 1));
  const sum = weights.reduce((a, b) => a + b, 0);
  let state = seed;
  return () => {
    // Numerical Recipes' generator: the same seed gives the same order.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    let rest = (state / 2 ** 32) * sum;
    const found = weights.findIndex((weight) => {
      rest -= weight;
      return rest < 0;
    });
    return Math.max(0, found);
  };
}
