import type { Api, MemoryView } from '../harness/api.js';
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
      const view = await measure(context, model, workers);
      sums.push(view.processes.reduce((sum, { pss_mb: pss }) => sum + pss, 0));
      views.push({ round, workers, processes: view.processes });
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
        'PSS as GET /v1/memory has it, main process included, read while every worker holds the model ' +
        `and has at least ${TOUCHED_SHARE} of its weights resident`,
      model_bytes: model.bytes,
      views,
    },
  };
}

async function measure(context: Context, model: CachedModel, workers: number): Promise<MemoryView> {
  const settings = { 'worker.count': workers, 'worker.threads': 1, 'cache.max_size': 0 };
  const server = await startServer(context, { models: [model], settings });
  try {
    await server.api.load(model.id);
    return await untilAllHaveRun(server.api, model, workers);
  } finally {
    await server.stop();
  }
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
