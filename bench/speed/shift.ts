import type { Api } from '../harness/api.js';
import { atMost, type Benchmark, type Context, type Outcome } from '../harness/benchmark.js';
import { pause, Tally } from '../harness/load.js';
import { type CachedModel, syntheticModels } from '../harness/models.js';
import { startServer } from '../harness/server.js';
import { latencies, median, rounded, spread } from '../harness/spread.js';
import { textOfTokens } from './lengths.js';
import { percentile } from './percentile.js';

const MOST_MS_TO_HOT = 3000;
const TOKENS = 16;
const FULL = { rounds: 5, ms: 5000 };
const QUICK = { rounds: 2, ms: 4000 };
/** Time between two requests, in answers of the cold gear: a load that two workers carry easily. */
const SPACING = 1.5;
/** One curve for all rounds has a point for each of these. */
const CURVE_STEP_MS = 250;

/** From the first request to the hot gear nobody waits longer than in the cold one. */
export const shift: Benchmark = {
  name: 'shift',
  about:
    'bert-base under steady load from its first request on: latency over time, until it is hot',
  run,
};

interface Sample {
  /** Since the first request was sent. */
  readonly atMs: number;
  readonly ms: number;
}

async function run(context: Context): Promise<Outcome> {
  const [model] = await syntheticModels('bert-base', 1, context.progress);
  if (model === undefined) throw new Error('no model');
  const { rounds, ms } = context.quick ? QUICK : FULL;
  const text = await textOfTokens(model, TOKENS);
  const tally = new Tally();
  const coldMs: number[] = [];
  const toHot: number[] = [];
  const slowest: number[] = [];
  const [before, after]: [Sample[], Sample[]] = [[], []];
  const spacing = await calibrate(context, model, text);
  for (let round = 1; round <= rounds; round += 1) {
    context.progress.at(`round ${round} of ${rounds}`);
    const control = await load(context, model, { gear: 'cold', text, ms, spacing, tally });
    coldMs.push(...control.samples.map((sample) => sample.ms));
    const found = await load(context, model, { gear: 'auto', text, ms, spacing, tally });
    toHot.push(found.hotAfterMs);
    const cold = found.samples.filter(({ atMs }) => atMs < found.hotAfterMs);
    slowest.push(Math.max(...cold.map((sample) => sample.ms)));
    before.push(...cold);
    after.push(...found.samples.filter(({ atMs }) => atMs >= found.hotAfterMs));
  }
  const coldP99 = percentile(coldMs, 0.99);
  const over = before.filter((sample) => sample.ms > coldP99).length;
  return {
    checks: [
      atMost('slowest before hot ÷ cold gear’s p99', rounded(median(slowest) / coldP99), 1),
      atMost('ms from the first request to hot', rounded(median(toHot), 0), MOST_MS_TO_HOT),
    ],
    facts: [
      { fact: 'cold gear alone', value: latencies(coldMs) },
      { fact: 'until hot', value: latencies(before.map((sample) => sample.ms)) },
      { fact: 'slower than the cold p99', value: `${over} of ${before.length}` },
      { fact: 'hot', value: latencies(after.map((sample) => sample.ms)) },
      { fact: 'slowest of each round', value: spread(slowest, ' ms', 1) },
      { fact: 'first request to hot', value: spread(toHot, ' ms', 0) },
      { fact: 'p50 over time', value: curve([...before, ...after]) },
      ...tally.failureFacts,
    ],
    details: {
      definition:
        `one request every ${spacing.toFixed(0)} ms, ${TOKENS} tokens; the first answer, which opens the model, is the ` +
        'benchmark cold’s and left out of both; the control is the same load with models.gear=cold',
      ...{ cold_ms: coldMs, before, after, to_hot_ms: toHot, slowest_ms: slowest },
    },
  };
}

/** Time between two requests, from the cold gear's own answers. */
async function calibrate(context: Context, model: CachedModel, text: string): Promise<number> {
  const server = await start(context, model, 'cold');
  const times: number[] = [];
  for (let n = 0; n < 20; n += 1) {
    times.push((await server.api.classify({ model: model.id, inputs: text })).ms);
  }
  await server.stop();
  return SPACING * median(times);
}

function start(context: Context, model: CachedModel, gear: 'auto' | 'cold') {
  const settings = { 'cache.max_size': 0, 'session.max_users': 1000, 'models.gear': gear };
  return startServer(context, { models: [model], settings });
}

async function load(
  context: Context,
  model: CachedModel,
  of: {
    readonly gear: 'auto' | 'cold';
    readonly text: string;
    readonly ms: number;
    readonly spacing: number;
    readonly tally: Tally;
  },
): Promise<{ readonly samples: readonly Sample[]; readonly hotAfterMs: number }> {
  const server = await start(context, model, of.gear);
  const { api } = server;
  const ask = () => api.classify({ model: model.id, inputs: of.text });
  // Both workers have their code compiled and the pages in the cache; then nobody holds the model.
  await Promise.all([ask(), ask(), ask(), ask()]);
  await api.unload(model.id);
  const begunAt = Date.now();
  of.tally.take(await ask());
  const samples: Promise<Sample | undefined>[] = [];
  for (const begun = performance.now(); performance.now() - begun < of.ms; ) {
    samples.push(sample(ask(), of.tally, begunAt));
    const due = begun + samples.length * of.spacing;
    await pause(Math.max(0, due - performance.now()));
  }
  const found = (await Promise.all(samples)).filter((each) => each !== undefined);
  const hotAfterMs = await firstShift(api, begunAt);
  await server.stop();
  return { samples: found, hotAfterMs };
}

async function sample(
  asked: ReturnType<Api['classify']>,
  tally: Tally,
  begunAt: number,
): Promise<Sample | undefined> {
  const reply = await asked;
  return tally.take(reply) ? { atMs: reply.sentAtMs - begunAt, ms: reply.ms } : undefined;
}

/** When the first model was hot, by the receipt of its shift; infinite where there is none. */
async function firstShift(api: Api, sinceMs: number): Promise<number> {
  const [receipt] = await api.receipts('shift', sinceMs);
  if (receipt === undefined) return Number.POSITIVE_INFINITY;
  const shifted = receipt.actions.reduce((sum, action) => sum + action.duration_ms, 0);
  return Date.parse(receipt.started_at) - sinceMs + Math.max(shifted, receipt.duration_ms);
}

function curve(samples: readonly Sample[]): string {
  const steps = new Map<number, number[]>();
  for (const { atMs, ms } of samples) {
    const step = Math.floor(atMs / CURVE_STEP_MS);
    steps.set(step, [...(steps.get(step) ?? []), ms]);
  }
  const points = [...steps].sort(([a], [b]) => a - b);
  return points
    .map(([at, of]) => `${((at * CURVE_STEP_MS) / 1000).toFixed(2)} s ${median(of).toFixed(0)}`)
    .join(', ');
}
