import type { MemoryView, ProcessView } from '../../src/contract/state/memory.js';
import { readProcessMemory } from '../../src/system/process-memory.js';
import type { Api } from '../harness/api.js';
import {
  atMost,
  type Benchmark,
  type Context,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { answeredMs } from '../harness/load.js';
import { type CachedModel, syntheticModel } from '../harness/models.js';
import { startServer, UNCACHED } from '../harness/server.js';
import { median, rounded, spread } from '../harness/spread.js';
import { Texts } from '../harness/users/texts.js';

const BOUND = 1.5;
const ROUNDS = { full: 5, quick: 1 };
const MANY = 8;
/** A worker has run the model once it has so much of the weights resident. */
const TOUCHED_SHARE = 0.7;
const MOST_TRIES = 40;
const MB = 2 ** 20;

export const share: Benchmark = {
  name: 'share',
  about: `memory (PSS: shared pages are counted once) of ${MANY} workers that run the same bert-base, against 1 worker`,
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { progress } = context;
  const model = await syntheticModel('bert-base', progress);
  const rounds = sizeOf(context, ROUNDS);
  const pss: Record<'one' | 'many', number[]> = { one: [], many: [] };
  const views: unknown[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const [workers, sums] of [
      [1, pss.one],
      [MANY, pss.many],
    ] as const) {
      progress.at(`round ${round} of ${rounds}, ${workers} workers`);
      const processes = await measure(context, model, workers);
      sums.push(processes.reduce((sum, { pssMb }) => sum + pssMb, 0));
      views.push({ round, workers, processes });
    }
  }
  const [one, many] = [median(pss.one), median(pss.many)];
  const perWorker = (many - one) / (MANY - 1);
  return {
    headline: `${many.toFixed(0)} MB against ${one.toFixed(0)} MB: ${perWorker.toFixed(0)} MB for each further worker`,
    checks: [atMost(`PSS of ${MANY} workers ÷ of 1`, rounded(many / one), BOUND)],
    facts: [
      { fact: 'PSS of all processes, 1 worker', value: spread(pss.one, ' MB', 0) },
      { fact: `PSS of all processes, ${MANY} workers`, value: spread(pss.many, ' MB', 0) },
      { fact: 'each further worker', value: `${perWorker.toFixed(1)} MB` },
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
  const settings = { 'worker.count': workers, 'worker.threads': 1, ...UNCACHED };
  const server = await startServer(context, { models: [model], settings });
  try {
    await server.api.load(model.id);
    const { processes } = await untilAllHaveRun(server.api, model, workers);
    return await Promise.all(processes.map(readNow));
  } finally {
    await server.stop();
  }
}

/** The server walks the pages of large processes only from time to time; here every figure is of now. */
async function readNow({ role, pid }: ProcessView) {
  const memory = await readProcessMemory(pid);
  if (memory === undefined) throw new Error(`process ${pid} (${role}) is gone`);
  return { role, pid, pssMb: memory.pssBytes / MB, privateMb: memory.privateBytes / MB };
}

async function untilAllHaveRun(api: Api, model: CachedModel, workers: number): Promise<MemoryView> {
  const texts = new Texts(3);
  const touchedMb = (TOUCHED_SHARE * model.bytes) / MB;
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    // More requests than workers reach all of them; varied texts touch much of the embeddings.
    const sends = Array.from({ length: 2 * workers }, () =>
      answeredMs(api, { model: model.id, inputs: texts.next(60) }),
    );
    await Promise.all(sends);
    const view = await api.memory();
    const ran = view.processes.filter(
      ({ role, rss_mb: rss }) => role === 'worker' && rss > touchedMb,
    );
    if (ran.length === workers && tries > 0) return view;
  }
  throw new Error(`not every worker ran the model in ${MOST_TRIES} rounds of requests`);
}
