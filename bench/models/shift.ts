import type { Api } from '../harness/api.js';
import {
  atMost,
  type Benchmark,
  type Context,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { answeredMs, pause, Tally } from '../harness/load.js';
import { type CachedModel, syntheticModel } from '../harness/models.js';
import { ROOMY_SESSIONS, startServer, UNCACHED } from '../harness/server.js';
import { latencies, median, quantile, rounded, spread } from '../harness/spread.js';
import { textOfTokens } from '../harness/users/text-of-tokens.js';

const MOST_MS_TO_HOT = 3000;
const TOKENS = 16;
const SIZES = { full: { rounds: 5, ms: 5000 }, quick: { rounds: 2, ms: 4000 } };
/** Time between two requests as a multiple of an answer in the cold gear: two workers carry that easily. */
const SPACING = 1.5;
/** Distance of the points of the curve. */
const CURVE_STEP_MS = 250;

export const shift: Benchmark = {
  name: 'shift',
  about:
    'time from the first request to the hot gear of a bert-base, and what callers notice of the shift',
  run,
};

interface Sample {
  /** Since the first request was sent. */
  readonly atMs: number;
  readonly ms: number;
}

async function run(context: Context): Promise<Outcome> {
  const model = await syntheticModel('bert-base', context.progress);
  const { rounds, ms } = sizeOf(context, SIZES);
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
    // Where it never shifted the figure is at least the time that it had.
    toHot.push(Math.min(found.hotAfterMs, ms));
    const cold = found.samples.filter(({ atMs }) => atMs < found.hotAfterMs);
    slowest.push(Math.max(...cold.map((sample) => sample.ms)));
    before.push(...cold);
    after.push(...found.samples.filter(({ atMs }) => atMs >= found.hotAfterMs));
  }
  const coldP99 = quantile(coldMs, 0.99);
  const over = before.filter((sample) => sample.ms > coldP99).length;
  const p50 = (samples: readonly Sample[]) => median(samples.map((sample) => sample.ms));
  return {
    headline: `${(median(toHot) / 1000).toFixed(1)} s; p50 ${p50(before).toFixed(0)} ms before, ${p50(after).toFixed(0)} ms after`,
    checks: [
      atMost(
        'slowest answer before the hot gear ÷ p99 of the cold gear',
        rounded(median(slowest) / coldP99),
        1,
      ),
      atMost(
        'from the first request to the hot gear',
        rounded(median(toHot), 0),
        MOST_MS_TO_HOT,
        'ms',
      ),
    ],
    facts: [
      { fact: 'cold gear alone', value: latencies(coldMs) },
      { fact: 'until hot', value: latencies(before.map((sample) => sample.ms)) },
      { fact: 'slower than the cold gear’s p99', value: `${over} of ${before.length}` },
      { fact: 'hot', value: latencies(after.map((sample) => sample.ms)) },
      { fact: 'slowest of each round', value: spread(slowest, ' ms', 1) },
      { fact: 'first request to hot', value: spread(toHot, ' ms', 0) },
      { fact: 'p50 over time', value: curve([...before, ...after]) },
      ...tally.failureFacts,
    ],
    details: {
      definition:
        `one request every ${spacing.toFixed(0)} ms, ${TOKENS} tokens; the first answer, which opens the model, is left ` +
        'out (the benchmark `cold` has it); the control is the same load with models.gear=cold',
      ...{ cold_ms: coldMs, before, after, to_hot_ms: toHot, slowest_ms: slowest },
    },
  };
}

/** Time between two requests in ms, from the cold gear's own answers. */
async function calibrate(context: Context, model: CachedModel, text: string): Promise<number> {
  const server = await start(context, model, 'cold');
  const times: number[] = [];
  for (let n = 0; n < 20; n += 1) {
    times.push(await answeredMs(server.api, { model: model.id, inputs: text }));
  }
  await server.stop();
  return SPACING * median(times);
}

function start(context: Context, model: CachedModel, gear: 'auto' | 'cold') {
  const settings = { ...UNCACHED, ...ROOMY_SESSIONS, 'models.gear': gear };
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
  // Compiles the code of both workers and fills the page cache; then no worker holds the model.
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

/** Ms until the first worker was hot, by the receipt of its shift; infinite where there is none. */
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
