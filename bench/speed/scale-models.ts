import { atLeast, type Benchmark, type Context, type Outcome } from '../harness/benchmark.js';
import { syntheticModels } from '../harness/models.js';
import { startServer } from '../harness/server.js';
import { median, rounded, spread } from '../harness/spread.js';
import { closedUsers } from './closed-users.js';
import { mailSource, realMails } from './mails.js';

const LEAST_RATIO = 0.8;
const USERS = 32;
const FULL = { counts: [1, 4, 16, 64], rounds: 3, ms: 15_000 };
const QUICK = { counts: [1, 4], rounds: 1, ms: 4000 };

/** Many models in turn, some far more popular than others, cost little more than one. */
export const scaleModels: Benchmark = {
  name: 'scale-models',
  about: 'items/s with 1, 4, 16 and 64 models (minilm), Zipf popularity, against one',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { counts, rounds, ms } = context.quick ? QUICK : FULL;
  const models = await syntheticModels('minilm', Math.max(...counts), context.progress);
  const rates = counts.map((): number[] => []);
  const mails = realMails();
  for (let round = 1; round <= rounds; round += 1) {
    for (const [at, count] of counts.entries()) {
      context.progress.at(`round ${round} of ${rounds}, ${count} models`);
      const some = models.slice(0, count);
      const settings = { 'cache.max_size': 0, 'session.max_users': 1000 };
      const server = await startServer(context, { models: some, settings });
      const pick = zipf(count, round);
      const modelOf = () => some[pick()]?.id ?? '';
      const nextText = mailSource(mails);
      await closedUsers(server.api, USERS, ms, modelOf, nextText);
      const got = await closedUsers(server.api, USERS, ms, modelOf, nextText);
      rates[at]?.push(got.itemsPerSecond);
      await server.stop();
    }
  }
  const [one = []] = rates;
  const ratio = median(rates.at(-1) ?? []) / median(one);
  return {
    checks: [atLeast(`items/s with ${counts.at(-1)} models ÷ 1`, rounded(ratio), LEAST_RATIO)],
    facts: counts.map((count, at) => ({
      fact: `${count} models`,
      value: spread(rates[at] ?? [], ' items/s', 1),
    })),
    details: { counts, rates },
  };
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
