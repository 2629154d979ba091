import { createReadStream, createWriteStream } from 'node:fs';
import { readdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Api } from '../harness/api.js';
import { atMost, type Benchmark, type Context, type Outcome } from '../harness/benchmark.js';
import { type CachedModel, mappedFolder, syntheticModels } from '../harness/models.js';
import { dropFromPageCache } from '../harness/page-cache.js';
import type { Progress } from '../harness/progress.js';
import { startServer } from '../harness/server.js';
import { median, rounded, spread } from '../harness/spread.js';
import { defaultThreads } from './gears.js';
import { textOfTokens } from './lengths.js';
import { RawLoop } from './raw.js';

const MOST_EXTRA_MS = 60;
const TOKENS = 16;
const ROUNDS = { full: 21, quick: 5 };
const WARM_ROUNDS = 3;
const WRITE_BYTES = 8 * 2 ** 20;

/** The first answer of a model that nobody had opened. */
export const cold: Benchmark = {
  name: 'cold',
  about:
    'bert-base: the first answer after an unload, page cache warm, against a hot plain session',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { progress, quick } = context;
  const [model] = await syntheticModels('bert-base', 1, progress);
  if (model === undefined) throw new Error('no model');
  const threads = await defaultThreads();
  const text = await textOfTokens(model, TOKENS);
  const raw = new RawLoop(context, model, 1);
  const weights = await weightsOf(model);
  await rewrite(weights);
  const settings = { 'cache.max_size': 0, 'session.max_users': 1000 };
  const { api } = await startServer(context, { models: [model], settings });
  const rounds = quick ? ROUNDS.quick : ROUNDS.full;
  const given = { progress, api, raw, model, text, threads, rounds };
  const written = await measure(given);
  await api.unload(model.id);
  const { method } = await dropFromPageCache([weights]);
  const readBack = await measure(given);
  const extra = (of: Samples) => median(of.first) - median(of.plain);
  return {
    checks: [
      atMost('median first answer − raw hot, ms', rounded(extra(written), 1), MOST_EXTRA_MS),
    ],
    facts: [
      { fact: 'first answer after an unload', value: spread(written.first, ' ms', 1) },
      { fact: 'the answer after that', value: spread(written.second, ' ms', 1) },
      { fact: 'raw, hot', value: spread(written.plain, ' ms', 1) },
      { fact: 'first, weights read back', value: spread(readBack.first, ' ms', 1) },
      { fact: 'the same − raw hot', value: `${extra(readBack).toFixed(1)} ms` },
      { fact: 'dropped by', value: method },
    ],
    details: {
      definition:
        `one text of ${TOKENS} tokens; first: HTTP request to answer with the model unloaded before, its tokenizer too; ` +
        'raw: tokenizer and plain session with the same threads, both open and warm. Page cache warm: as it is when ' +
        'the weights were written; read back: dropped from the cache and read again by a run, then as small pages',
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
  const classify = async () => {
    const reply = await api.classify({ model: model.id, inputs: text });
    if (reply.status !== 200) throw new Error(`not answered: ${reply.status}`);
    return reply.ms;
  };
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

/** Writes the file anew: it is then in the page cache as the preparer leaves it. */
async function rewrite(file: string): Promise<void> {
  const copy = `${file}.${process.pid}.tmp`;
  const from = createReadStream(file, { highWaterMark: WRITE_BYTES });
  await pipeline(from, createWriteStream(copy, { flush: true, highWaterMark: WRITE_BYTES }));
  await rename(copy, file);
}
