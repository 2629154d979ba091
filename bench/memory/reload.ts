import path from 'node:path';
import type { Api } from '../harness/api.js';
import { atMost, type Benchmark, type Context, type Outcome } from '../harness/benchmark.js';
import { startChild } from '../harness/child.js';
import { syntheticModels } from '../harness/models.js';
import { startServer } from '../harness/server.js';
import { median, rounded, spread } from '../harness/spread.js';
import { Texts } from '../harness/texts.js';

const BOUND = 1 / 20;
const ROUNDS = { full: 21, quick: 3 };
/** Reloads of one round; their median stands against one plain opening. */
const RELOADS = 5;

/** Opening an unloaded bert-base in a running worker against opening it the plain way. */
export const reload: Benchmark = {
  name: 'reload',
  about: 'bert-base: reload in a running worker against a plain InferenceSession.create',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { progress, quick } = context;
  const [model] = await syntheticModels('bert-base', 1, progress);
  if (model === undefined) throw new Error('no model');
  const settings = { 'worker.count': 1, 'cache.max_size': 0 };
  const { api } = await startServer(context, { models: [model], settings });
  const source = path.join(model.directory, 'onnx', 'model.onnx');
  const samples = { reloadMs: [] as number[], plainMs: [] as number[], ratios: [] as number[] };
  const answers = { first: [] as number[], warm: [] as number[] };
  const texts = new Texts(1);
  const classify = async () => {
    const reply = await api.classify({ model: model.id, inputs: texts.next() });
    if (reply.status !== 200) throw new Error(`not answered: ${reply.status}`);
    return reply.ms;
  };
  const rounds = quick ? ROUNDS.quick : ROUNDS.full;
  // The first round warms the page cache for both ways, and is not counted.
  for (let round = 0; round <= rounds; round += 1) {
    progress.at(`round ${round} of ${rounds}`);
    const reloads: number[] = [];
    for (let n = 0; n < RELOADS; n += 1) reloads.push(await reloadMs(api, model.id));
    const plain = Number(await startChild(context, 'memory/plain-create', [source]).next());
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
  const ratio = median(samples.reloadMs) / median(samples.plainMs);
  return {
    checks: [atMost('median reload ÷ median plain', rounded(ratio), BOUND)],
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
        'plain: create() alone with default options, each in a fresh process, page cache warm for both',
      model_bytes: model.bytes,
      ...samples,
      answers,
    },
  };
}

/** One unload and load; the worker's own time for the load. */
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
