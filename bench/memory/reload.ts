import path from 'node:path';
import type { Api } from '../harness/api.js';
import {
  atMost,
  type Benchmark,
  type Context,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { runChild } from '../harness/child.js';
import { answeredMs } from '../harness/load.js';
import { syntheticModel } from '../harness/models.js';
import { startServer, UNCACHED } from '../harness/server.js';
import { median, rounded, spread } from '../harness/spread.js';
import { Texts } from '../harness/users/texts.js';

const BOUND = 1 / 20;
const ROUNDS = { full: 21, quick: 3 };
/** Reloads of one round; their median is compared with one plain opening. */
const RELOADS = 5;
const MB = 2 ** 20;

export const reload: Benchmark = {
  name: 'reload',
  about: 'time to reload an unloaded bert-base, against opening its file with plain ONNX Runtime',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { progress } = context;
  const model = await syntheticModel('bert-base', progress);
  const settings = { 'worker.count': 1, ...UNCACHED };
  const { api } = await startServer(context, { models: [model], settings });
  const source = path.join(model.directory, 'onnx', 'model.onnx');
  const samples = { reloadMs: [] as number[], plainMs: [] as number[], ratios: [] as number[] };
  const answers = { first: [] as number[], warm: [] as number[] };
  const texts = new Texts(1);
  const classify = () => answeredMs(api, { model: model.id, inputs: texts.next() });
  const rounds = sizeOf(context, ROUNDS);
  // Round 0 warms the page cache for both ways, and is not counted.
  for (let round = 0; round <= rounds; round += 1) {
    progress.at(`round ${round} of ${rounds}`);
    const reloads: number[] = [];
    for (let n = 0; n < RELOADS; n += 1) reloads.push(await reloadMs(api, model.id));
    const plain = await runChild<number>(context, 'memory/plain-open-main', [source]);
    await api.unload(model.id);
    const first = await classify();
    const warm = await classify();
    if (round === 0) continue;
    samples.reloadMs.push(...reloads);
    samples.plainMs.push(plain);
    samples.ratios.push(median(reloads) / plain);
    answers.first.push(first);
    answers.warm.push(warm);
  }
  const [ours, plain] = [median(samples.reloadMs), median(samples.plainMs)];
  return {
    headline: `${ours.toFixed(0)} ms against ${plain.toFixed(0)} ms (${(model.bytes / MB).toFixed(0)} MB of weights)`,
    checks: [atMost('reload ÷ plain opening, medians', rounded(ours / plain), BOUND)],
    facts: [
      { fact: 'reload, tokenizer included', value: spread(samples.reloadMs, ' ms', 1) },
      { fact: 'plain InferenceSession.create', value: spread(samples.plainMs, ' ms', 0) },
      { fact: 'ratio within a round', value: spread(samples.ratios, '', 4) },
      { fact: 'first answer after an unload', value: spread(answers.first, ' ms', 1) },
      { fact: 'the answer after that', value: spread(answers.warm, ' ms', 1) },
    ],
    details: {
      definition:
        'reload: time of the load in the worker (plimsoll_model_load_seconds), session and tokenizer; ' +
        'plain: create() alone with default options, each time in a fresh process; page cache warm for both',
      model_bytes: model.bytes,
      ...samples,
      answers,
    },
  };
}

/** The worker's own time for one load after an unload. */
async function reloadMs(api: Api, model: string): Promise<number> {
  await api.unload(model);
  const before = await loads(api);
  await api.load(model);
  const after = await loads(api);
  if (after.count !== before.count + 1) throw new Error('something else loaded the model too');
  return (after.seconds - before.seconds) * 1000;
}

async function loads(api: Api) {
  const name = 'plimsoll_model_load_seconds';
  const [seconds, count] = [await api.metric(`${name}_sum`), await api.metric(`${name}_count`)];
  return { seconds, count };
}
