import type { MemoryView, ProcessView } from '../../src/contract/memory.js';
import { readProcessMemory } from '../../src/system/process-memory.js';
import type { Api } from '../harness/api.js';
import { atMost, type Benchmark, type Context, type Outcome } from '../harness/benchmark.js';
import { type CachedModel, syntheticModels } from '../harness/models.js';
import { startServer } from '../harness/server.js';
import { median, rounded, spread } from '../harness/spread.js';
import { Texts } from '../harness/texts.js';

const BOUND = 1.5;
const ROUNDS = { full: 5, quick: 1 };
const MANY = 8;
/** Every worker has to have run: its resident size must hold this share of the weights. */
const TOUCHED_SHARE = 0.7;
const MOST_TRIES = 40;
const MB = 2 ** 20;

/** Eight workers with one model take little more than one worker with it. */
export const share: Benchmark = {
  name: 'share',
  about: 'memory (PSS) of 1 and of 8 workers that all run the same bert-base',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { progress, quick } = context;
  const [model] = await syntheticModels('bert-base', 1, progress);
  if (model === undefined) throw new Error('no model');
  const rounds = quick ? ROUNDS.quick : ROUNDS.full;
  const one: number[] = [];
  const many: number[] = [];
  const views: unknown[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const [workers, sums] of [
      [1, one],
      [MANY, many],
    ] as const) {
      progress.at(`round ${round} of ${rounds}, ${workers} workers`);
      const processes = await measure(context, model, workers);
      sums.push(processes.reduce((sum, { pssMb }) => sum + pssMb, 0));
      views.push({ round, workers, processes });
    }
  }
  const ratio = median(many) / median(one);
  return {
    checks: [atMost('PSS with 8 workers ÷ with 1', rounded(ratio), BOUND)],
    facts: [
      { fact: 'PSS of all processes, 1 worker', value: spread(one, ' MB', 0) },
      { fact: `PSS of all processes, ${MANY} workers`, value: spread(many, ' MB', 0) },
      {
        fact: 'each worker more',
        value: `${((median(many) - median(one)) / (MANY - 1)).toFixed(1)} MB`,
      },
    ],
    details: {
      definition:
        'PSS of smaps_rollup, main process included, read while every worker holds the model ' +
        `and has at least ${TOUCHED_SHARE} of its weights resident`,
      model_bytes: model.bytes,
      views,
    },
  };
}

async function measure(context: Context, model: CachedModel, workers: number) {
  const settings = { 'worker.count': workers, 'worker.threads': 1, 'cache.max_size': 0 };
  const server = await startServer(context, { models: [model], settings });
  try {
    await server.api.load(model.id);
    const { processes } = await untilAllHaveRun(server.api, model, workers);
    return await Promise.all(processes.map(exactly));
  } finally {
    await server.stop();
  }
}

/** The server walks the pages of large processes only now and then; here each has to be of this moment. */
async function exactly({ role, pid }: ProcessView) {
  const memory = await readProcessMemory(pid);
  if (memory === undefined) throw new Error(`process ${pid} (${role}) is gone`);
  return { role, pid, pssMb: memory.pssBytes / MB, privateMb: memory.privateBytes / MB };
}

async function untilAllHaveRun(api: Api, model: CachedModel, workers: number): Promise<MemoryView> {
  const texts = new Texts(3);
  const touchedMb = (TOUCHED_SHARE * model.bytes) / MB;
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    // The scheduler shares them out among the workers; varied texts touch much of the embeddings.
    const sends = Array.from({ length: 2 * workers }, () =>
      api.classify({ model: model.id, inputs: texts.next(60) }),
    );
    const replies = await Promise.all(sends);
    if (replies.some(({ status }) => status !== 200)) throw new Error('a request failed');
    const view = await api.memory();
    const ran = view.processes.filter(
      ({ role, rss_mb: rss }) => role === 'worker' && rss > touchedMb,
    );
    if (ran.length === workers && tries > 0) return view;
  }
  throw new Error('not every worker came to run the model');
}
