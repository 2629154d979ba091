import { createReadStream, createWriteStream } from 'node:fs';
import { readdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Api } from '../harness/api.js';
import {
  atMost,
  type Benchmark,
  type Context,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { answeredMs } from '../harness/load.js';
import { dropFromPageCache } from '../harness/machine/page-cache.js';
import { type CachedModel, mappedFolder, syntheticModel } from '../harness/models.js';
import { RawLoop } from '../harness/programs/raw-loop.js';
import type { Progress } from '../harness/progress.js';
import { ROOMY_SESSIONS, startServer, UNCACHED } from '../harness/server.js';
import { median, rounded, spread } from '../harness/spread.js';
import { defaultThreads } from '../harness/users/hot-gear.js';
import { textOfTokens } from '../harness/users/text-of-tokens.js';

const MOST_EXTRA_MS = 60;
const TOKENS = 16;
const ROUNDS = { full: 21, quick: 5 };
const WARM_ROUNDS = 3;
const WRITE_BYTES = 8 * 2 ** 20;

export const cold: Benchmark = {
  name: 'cold',
  about: 'time of the first answer of an unloaded bert-base beyond that of a hot plain session',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { progress } = context;
  const model = await syntheticModel('bert-base', progress);
  const threads = await defaultThreads();
  const text = await textOfTokens(model, TOKENS);
  const raw = new RawLoop(context, model, 1);
  const weights = await weightsOf(model);
  await rewrite(weights);
  const settings = { ...UNCACHED, ...ROOMY_SESSIONS };
  const { api } = await startServer(context, { models: [model], settings });
  const given = { progress, api, raw, model, text, threads, rounds: sizeOf(context, ROUNDS) };
  const written = await measure(given);
  await api.unload(model.id);
  const { method } = await dropFromPageCache([weights]);
  const readBack = await measure(given);
  const extra = (of: Samples) => median(of.first) - median(of.plain);
  return {
    headline: `${extra(written).toFixed(0)} ms (${median(written.first).toFixed(0)} against ${median(written.plain).toFixed(0)} ms)`,
    checks: [
      atMost(
        'first answer − hot raw session, medians',
        rounded(extra(written), 1),
        MOST_EXTRA_MS,
        'ms',
      ),
    ],
    facts: [
      { fact: 'first answer after an unload', value: spread(written.first, ' ms', 1) },
      { fact: 'the answer after that', value: spread(written.second, ' ms', 1) },
      { fact: 'raw session, hot', value: spread(written.plain, ' ms', 1) },
      { fact: 'first answer, weights read back', value: spread(readBack.first, ' ms', 1) },
      { fact: 'the same − hot raw session', value: `${extra(readBack).toFixed(1)} ms` },
      { fact: 'page cache dropped by', value: method },
    ],
    details: {
      definition:
        `one text of ${TOKENS} tokens; first: from HTTP request to answer, model and tokenizer unloaded before; ` +
        'raw: tokenizer and plain session with the same threads, both open and warm. The page cache holds the weights ' +
        'as they were written; read back: dropped from the cache and read again, which leaves them in small pages',
      ...{ threads, written, read_back: readBack },
    },
  };
}

interface Samples {
  readonly first: number[];
  readonly second: number[];
  readonly plain: number[];
}

async function measure(given: {
  readonly progress: Progress;
  readonly api: Api;
  readonly raw: RawLoop;
  readonly model: CachedModel;
  readonly text: string;
  readonly threads: number;
  readonly rounds: number;
}): Promise<Samples> {
  const { progress, api, raw, model, text, threads, rounds } = given;
  const classify = () => answeredMs(api, { model: model.id, inputs: text });
  const samples: Samples = { first: [], second: [], plain: [] };
  // The first rounds warm the page cache and the processes, and are not counted.
  for (let round = 1 - WARM_ROUNDS; round <= rounds; round += 1) {
    progress.at(`round ${round} of ${rounds}`);
    await api.unload(model.id);
    const plainMs = await raw.once(text, threads);
    const firstMs = await classify();
    const secondMs = await classify();
    if (round < 1) continue;
    samples.first.push(firstMs);
    samples.second.push(secondMs);
    samples.plain.push(plainMs);
  }
  return samples;
}

async function weightsOf(model: CachedModel): Promise<string> {
  const folder = path.join(mappedFolder(), model.id);
  const [form = ''] = (await readdir(folder)).filter((name) => !name.startsWith('.'));
  return path.join(folder, form, 'weights.bin');
}

/** Writes the file again: it is then in the page cache as the preparer leaves it. */
async function rewrite(file: string): Promise<void> {
  const copy = `${file}.${process.pid}.tmp`;
  const from = createReadStream(file, { highWaterMark: WRITE_BYTES });
  await pipeline(from, createWriteStream(copy, { flush: true, highWaterMark: WRITE_BYTES }));
  await rename(copy, file);
}
