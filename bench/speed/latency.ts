import {
  atMost,
  type Benchmark,
  type Context,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { answeredMs } from '../harness/load.js';
import { bundledModel, type CachedModel, measuredModels } from '../harness/models.js';
import { RawLoop } from '../harness/programs/raw-loop.js';
import { ROOMY_SESSIONS, startServer, UNCACHED } from '../harness/server.js';
import { latencies, median, range, rounded } from '../harness/spread.js';
import { compiled } from '../harness/users/closed-users.js';
import { defaultThreads, gearsOf, untilHot } from '../harness/users/hot-gear.js';
import { textOfTokens } from '../harness/users/text-of-tokens.js';

const MOST_ADDED_MS = 1.5;
const LENGTHS = [16, 256];
const SIZES = { full: { pairs: 41, hotMs: 8000 }, quick: { pairs: 11, hotMs: 4000 } };
/** Pairs before those that count. */
const WARM = 5;

export const latency: Benchmark = {
  name: 'latency',
  about: 'latency that the server adds to plain ONNX Runtime, for 1 user, 1 text, hot',
  run,
};

/** One model with texts of one length. */
interface Case {
  readonly model: string;
  readonly tokens: number;
  readonly gears: string;
  readonly serverMs: readonly number[];
  readonly rawMs: readonly number[];
}

async function run(context: Context): Promise<Outcome> {
  const threads = await defaultThreads();
  const cases: Case[] = [];
  for (const model of await measuredModels(context)) {
    cases.push(...(await measure(context, model, threads)));
  }
  const addedMs = (of: Case) => median(of.serverMs) - median(of.rawMs);
  const headlines = LENGTHS.map((tokens) => {
    const added = cases.filter((of) => of.tokens === tokens).map(addedMs);
    return `${range(added)} ms with ${tokens} tokens`;
  });
  return {
    headline: headlines.join(', '),
    checks: cases.map((of) =>
      atMost(
        `${of.model}, ${of.tokens} tokens: p50 of the server − p50 of the raw session`,
        rounded(addedMs(of), 3),
        MOST_ADDED_MS,
        'ms',
      ),
    ),
    facts: cases.flatMap(({ model, tokens, gears, serverMs, rawMs }) => [
      { fact: `${model}, ${tokens} tokens: server (${gears})`, value: latencies(serverMs) },
      { fact: `${model}, ${tokens} tokens: raw`, value: latencies(rawMs) },
    ]),
    details: { threads, samples: cases },
  };
}

async function measure(context: Context, model: CachedModel, threads: number): Promise<Case[]> {
  const { pairs, hotMs } = sizeOf(context, SIZES);
  const { progress } = context;
  const texts = await Promise.all(LENGTHS.map((tokens) => textOfTokens(model, tokens)));
  const raw = new RawLoop(context, model, 1);
  // The raw session opens first: while it opens nobody would ask the server, which would unload its model.
  await raw.once(texts[0] ?? '', threads);
  const served = [...new Set([model, bundledModel])];
  const settings = { ...UNCACHED, ...ROOMY_SESSIONS };
  const { api, stop } = await startServer(context, { models: served, settings });
  progress.at(`${model.id}: warming up`);
  await compiled(api);
  const cases: Case[] = [];
  for (const [at, tokens] of LENGTHS.entries()) {
    const text = texts[at] ?? '';
    const body = { model: model.id, inputs: text };
    progress.at(`${model.id}, ${tokens} tokens: until it is hot`);
    await untilHot(api, model.id, text, hotMs);
    const [serverMs, rawMs]: [number[], number[]] = [[], []];
    // In turn, so that whatever else the machine does meets both alike.
    for (let pair = -WARM; pair < pairs; pair += 1) {
      if (pair % 20 === 0) progress.at(`${model.id}, ${tokens} tokens: pair ${pair} of ${pairs}`);
      const rawOnce = await raw.once(text, threads);
      const serverOnce = await answeredMs(api, body);
      if (pair < 0) continue;
      rawMs.push(rawOnce);
      serverMs.push(serverOnce);
    }
    const gears = (await gearsOf(api, model.id)).join(', ');
    cases.push({ model: model.id, tokens, gears, serverMs, rawMs });
  }
  await stop();
  await raw.stop();
  return cases;
}
