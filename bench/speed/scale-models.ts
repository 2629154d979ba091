import {
  atLeast,
  type Benchmark,
  type Context,
  type Fact,
  NotRunError,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { isMeasured, measuredOr, type NotMeasured } from '../harness/checks.js';
import { MemoryCgroup } from '../harness/machine/cgroup.js';
import { type CachedModel, syntheticModels } from '../harness/models.js';
import { ROOMY_SESSIONS, startServer, UNCACHED } from '../harness/server.js';
import { median, rounded, spread } from '../harness/spread.js';
import { closedUsers, LEAST_ANSWERS, ratePerSecond } from '../harness/users/closed-users.js';
import { mailSource, spreadMails } from '../harness/users/mails.js';

const LEAST_RATIO = 0.8;
const USERS = 32;
/** Memory limits of the whole server, as parts of what the weights of all models take. */
const SHARES = [1, 0.5, 0.25, 0.125];
const SIZES = {
  // In the warm-up the rarest of 64 models is asked some four times: later no worker meets many for the first time.
  full: { counts: [1, 4, 16, 64], rounds: 3, warmMs: 30_000, ms: 10_000 },
  quick: { counts: [1, 4], rounds: 1, warmMs: 2000, ms: 4000 },
};
const MB = 2 ** 20;

export const scaleModels: Benchmark = {
  name: 'scale-models',
  about: 'items/s with 64 models (minilm) of unlike popularity, as a part of that with one',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { counts, rounds } = sizeOf(context, SIZES);
  const models = await syntheticModels('minilm', Math.max(...counts), context.progress);
  const rates = counts.map((): number[] => []);
  for (let round = 1; round <= rounds; round += 1) {
    for (const [at, count] of counts.entries()) {
      context.progress.at(`round ${round} of ${rounds}, ${count} models`);
      rates[at]?.push((await measure(context, models.slice(0, count), round)).rate);
    }
  }
  const one = median(rates[0] ?? []);
  const many = median(rates.at(-1) ?? []);
  const curve = await inLessMemory(context, models);
  return {
    headline: `${(many / one).toFixed(2)} (${many.toFixed(0)} against ${one.toFixed(0)} items/s)`,
    checks: [
      atLeast(`items/s with ${counts.at(-1)} models ÷ with 1`, rounded(many / one), LEAST_RATIO),
    ],
    facts: [
      ...counts.map((count, at) => ({
        fact: `${count} models`,
        value: spread(rates[at] ?? [], ' items/s', 1),
      })),
      ...curve.map(({ share, limitMb, measured }): Fact => {
        const fact = `all, in ${limitMb} MB (${share} × their weights)`;
        if (!isMeasured(measured)) return { fact, value: `not measured: ${measured.notMeasured}` };
        const { rate, failures } = measured;
        const part = `${(rate / one).toFixed(2)} of one model’s`;
        return { fact, value: `${rate.toFixed(1)} items/s, ${part}; ${failures} failed` };
      }),
      ...(curve.length === 0 ? [{ fact: 'in less memory', value: 'no writable cgroup here' }] : []),
    ],
    details: { counts, rates, curve },
  };
}

interface Measured {
  readonly rate: number;
  readonly failures: number;
}

/** Speed of all models in a memory limit. */
interface Limited {
  /** The limit as a part of their weights. */
  readonly share: number;
  readonly limitMb: number;
  readonly measured: Measured | NotMeasured;
  readonly kills: number;
}

/** What is left of the speed when the page cache cannot hold all weights; empty without a cgroup. */
async function inLessMemory(
  context: Context,
  models: readonly CachedModel[],
): Promise<readonly Limited[]> {
  const weights = models.reduce((sum, { bytes }) => sum + bytes, 0);
  const curve: Limited[] = [];
  for (const share of SHARES) {
    const limit = Math.round(weights * share);
    context.progress.at(`all models in ${share} of their weights`);
    try {
      const cgroup = await MemoryCgroup.create(context, limit);
      const measured = await measuredOr(() => measure(context, models, 1, cgroup));
      const kills = await cgroup.kills();
      curve.push({ share, limitMb: Math.round(limit / MB), measured, kills });
    } catch (error) {
      if (error instanceof NotRunError) return [];
      throw error;
    }
  }
  return curve;
}

/** Items/s once the server is warm, and how many requests failed. */
async function measure(
  context: Context,
  models: readonly CachedModel[],
  seed: number,
  cgroup?: MemoryCgroup,
): Promise<Measured> {
  const { warmMs, ms } = sizeOf(context, SIZES);
  const settings = { ...UNCACHED, ...ROOMY_SESSIONS };
  const server = await startServer(context, { models, settings, cgroup });
  const pick = zipf(models.length, seed);
  const modelOf = () => models[pick()]?.id ?? '';
  const options = { users: USERS, modelOf, nextText: mailSource(spreadMails()) };
  try {
    await closedUsers(server.api, { ...options, ms: warmMs });
    const got = await closedUsers(server.api, { ...options, ms, leastAnswers: LEAST_ANSWERS });
    return { rate: ratePerSecond(got.answeredAtMs), failures: got.tally.failures.length };
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
