import {
  atMost,
  type Benchmark,
  type Check,
  type Context,
  type Fact,
  type Outcome,
} from '../harness/benchmark.js';
import { type CachedModel, prepare, syntheticModels } from '../harness/models.js';
import { startServer } from '../harness/server.js';
import { latencies, median, rounded } from '../harness/spread.js';
import { compiled } from './closed-users.js';
import { defaultThreads, gearsOf, untilHot } from './gears.js';
import { textOfTokens } from './lengths.js';
import { bundledModel } from './mails.js';
import { RawLoop } from './raw.js';

const MOST_OVERHEAD_MS = 1.5;
const LENGTHS = [16, 256];
const FULL = { pairs: 41, hotMs: 8000 };
const QUICK = { pairs: 11, hotMs: 4000 };
/** Pairs before those that count. */
const WARM = 5;

/** What one user waits for beyond the model itself. */
export const latency: Benchmark = {
  name: 'latency',
  about: '1 user, 1 text of 16 or 256 tokens, hot: HTTP to answer, against a plain session',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const models: CachedModel[] = [bundledModel];
  await prepare(models, context.progress);
  for (const shape of ['minilm', 'distilbert', 'bert-base'] as const) {
    models.push(...(await syntheticModels(shape, 1, context.progress)));
  }
  const checks: Check[] = [];
  const facts: Fact[] = [];
  const samples: unknown[] = [];
  for (const model of models) {
    const found = await measure(context, model);
    checks.push(...found.checks);
    facts.push(...found.facts);
    samples.push(...found.samples);
  }
  return { checks, facts, details: { samples } };
}

async function measure(context: Context, model: CachedModel) {
  const { pairs, hotMs } = context.quick ? QUICK : FULL;
  const threads = await defaultThreads();
  const texts = await Promise.all(LENGTHS.map((tokens) => textOfTokens(model, tokens)));
  const raw = new RawLoop(context, model, 1);
  // The plain session is open before: while it opens, nobody would ask the server, and its model leave.
  await raw.once(texts[0] ?? '', threads);
  const settings = { 'cache.max_size': 0, 'session.max_users': 1000 };
  const served = [...new Set([model, bundledModel])];
  const server = await startServer(context, { models: served, settings });
  context.progress.at(`${model.id}: warming up`);
  await compiled(server.api);
  const checks: Check[] = [];
  const facts: Fact[] = [];
  const samples: unknown[] = [];
  for (const [at, tokens] of LENGTHS.entries()) {
    const text = texts[at] ?? '';
    context.progress.at(`${model.id}, ${tokens} tokens: until it is hot`);
    await untilHot(server.api, model.id, text, hotMs);
    const [ours, plain]: [number[], number[]] = [[], []];
    // In turn, so that whatever else the machine does meets both alike.
    for (let pair = -WARM; pair < pairs; pair += 1) {
      if (pair % 20 === 0) context.progress.at(`${model.id}, ${tokens} tokens: pair ${pair}`);
      const plainMs = await raw.once(text, threads);
      const reply = await server.api.classify({ model: model.id, inputs: text });
      if (reply.status !== 200) throw new Error(`not answered: ${reply.status}`);
      if (pair < 0) continue;
      plain.push(plainMs);
      ours.push(reply.ms);
    }
    const name = `${model.id}, ${tokens} tokens`;
    const overhead = median(ours) - median(plain);
    const gears = (await gearsOf(server.api, model.id)).join(', ');
    checks.push(atMost(`${name}: p50 − raw p50, ms`, rounded(overhead, 3), MOST_OVERHEAD_MS));
    facts.push(
      { fact: `${name}: server (${gears})`, value: latencies(ours) },
      { fact: `${name}: raw`, value: latencies(plain) },
    );
    samples.push({ model: model.id, tokens, threads, gears, server_ms: ours, raw_ms: plain });
  }
  await server.stop();
  await raw.stop();
  return { checks, facts, samples };
}
