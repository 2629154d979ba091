import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { graphFileOf } from '../../src/models/intake/dtype.js';
import type { Api } from '../harness/api.js';
import {
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
  type Sizes,
  sizeOf,
} from '../harness/benchmark.js';
import { startChild } from '../harness/child.js';
import { Tally } from '../harness/load.js';
import { MemoryCgroup } from '../harness/machine/cgroup.js';
import { dropFromPageCache } from '../harness/machine/page-cache.js';
import {
  type CachedModel,
  manyModels,
  mappedFolderOf,
  syntheticModels,
} from '../harness/models.js';
import { NO_RECYCLING, startServer, UNCACHED } from '../harness/server.js';
import { rounded, spread } from '../harness/spread.js';
import { Texts } from '../harness/users/texts.js';

const LIMIT_MB = 512;
const LIMIT_BYTES = LIMIT_MB * 2 ** 20;
interface Kind {
  readonly dtype: 'fp32' | 'q8';
  readonly count: number;
  /** How many of them have weights of their own. */
  readonly own: number;
}

const KINDS: Sizes<readonly Kind[]> = {
  full: [
    { dtype: 'fp32', count: 40, own: 20 },
    { dtype: 'q8', count: 100, own: 1 },
  ],
  quick: [
    { dtype: 'fp32', count: 4, own: 3 },
    { dtype: 'q8', count: 4, own: 1 },
  ],
};
const ROUNDS = 2;
const GB = 2 ** 30;

export const density: Benchmark = {
  name: 'density',
  about: `bert-base models, in fp32 and in q8, that answer in turn in a memory limit of ${LIMIT_MB} MB`,
  run,
};

/** What became of the models of one type. */
type Ran = Awaited<ReturnType<typeof runKind>>;

async function run(context: Context): Promise<Outcome> {
  const ran: Ran[] = [];
  for (const kind of sizeOf(context, KINDS)) ran.push(await runKind(context, kind));
  return {
    headline: ran.map(headlineOf).join('; '),
    checks: ran.flatMap(({ dtype, tally, kills, restarts, control }) => [
      exactly(`${dtype}: requests that were not answered`, tally.failures.length, 0),
      exactly(`${dtype}: processes killed for lack of memory`, kills, 0),
      exactly(`${dtype}: workers that died`, restarts, 0),
      exactly(
        `${dtype}: plain processes killed for lack of memory (the control)`,
        control.killed ? 1 : 0,
        1,
      ),
    ]),
    facts: ran.flatMap(factsOf),
    details: {
      definition:
        'for each type of weights the whole server in one cgroup (load line 80 %, the default; no result cache, no recycling by users); ' +
        'one user, one request at a time, each with a new text; mapped forms made outside of the cgroup beforehand; each model has a mapped ' +
        'form of its own, though the original files of some are hard links to those of others, as so many do not fit on the disk; the control ' +
        'opens plain sessions one after another in an equal cgroup and keeps them',
      kinds: ran.map(({ tally, ...of }) => ({ ...of, failures: tally.firstFailures })),
    },
  };
}

async function runKind(context: Context, { dtype, count, own }: Kind) {
  const { progress } = context;
  // Asked for first: without one there is no point in making so many models.
  const cgroup = await MemoryCgroup.create(context, LIMIT_BYTES);
  const distinct = await syntheticModels('bert-base', own, progress, dtype);
  const models = await manyModels(distinct, count, progress);
  const dropped = await dropFromPageCache(await filesOf(models));
  progress.say(`page cache: ${dropped.method}, ${dropped.leftMb.toFixed(1)} MB left`);
  const settings = { ...UNCACHED, ...NO_RECYCLING };
  const server = await startServer(context, { models, settings, cgroup });
  const { tally, rounds } = await playInTurn(context, server.api, models);
  const kills = await cgroup.kills();
  const restarts = await server.api.metric('plimsoll_worker_restarts_total');
  const peakBytes = await cgroup.peakBytes();
  await server.stop();
  return {
    ...{ dtype, models: models.length, own, tally, rounds, kills, restarts, peakBytes },
    weightsGb: rounded(models.reduce((sum, { bytes }) => sum + bytes, 0) / GB),
    cgroupVersion: cgroup.version,
    dropped,
    serverEnded: server.ended(),
    control: await plainControl(context, models),
  };
}

function headlineOf({ dtype, models, weightsGb, tally, control }: Ran): string {
  const plain = control.killed ? `out of memory after ${control.opened}` : `${control.opened}`;
  return `${models} models in ${dtype} (${weightsGb.toFixed(1)} GB of weights), ${tally.replies.length} of ${ROUNDS * models} requests answered; plain ONNX Runtime: ${plain}`;
}

function factsOf(of: Ran): Outcome['facts'] {
  const { dtype, tally, rounds, control } = of;
  const facts = [
    { fact: 'models, weights', value: `${of.models}, ${of.weightsGb.toFixed(2)} GB` },
    { fact: 'with weights of their own', value: String(of.own) },
    { fact: 'answers', value: String(tally.replies.length) },
    { fact: 'first round, nothing cached', value: spread(rounds[0] ?? [], ' ms', 0) },
    { fact: 'second round', value: spread(rounds[1] ?? [], ' ms', 0) },
    {
      fact: 'most that the cgroup held',
      value: `${(of.peakBytes / 2 ** 20).toFixed(0)} MB of ${LIMIT_MB}`,
    },
    { fact: 'the control opened', value: `${control.opened} models, then ${control.how}` },
    { fact: 'page cache dropped by', value: of.dropped.method },
  ];
  return [...tally.failureFacts, ...facts].map(({ fact, value }) => ({
    fact: `${dtype}: ${fact}`,
    value,
  }));
}

async function playInTurn(context: Context, api: Api, models: readonly CachedModel[]) {
  const tally = new Tally();
  const texts = new Texts(4);
  const rounds: number[][] = [];
  const session = await api.openSession();
  for (let round = 1; round <= ROUNDS; round += 1) {
    const times: number[] = [];
    for (const [index, { id: model }] of models.entries()) {
      context.progress.at(`round ${round} of ${ROUNDS}, model ${index + 1} of ${models.length}`);
      const reply = await api.classify({ model, session, user: 'one', inputs: texts.next() });
      if (tally.take(reply)) times.push(reply.ms);
    }
    rounds.push(times);
  }
  await api.endSession(session);
  return { tally, rounds };
}

/** How many plain sessions a process can open and keep in an equal cgroup. */
async function plainControl(context: Context, models: readonly CachedModel[]) {
  const cgroup = await MemoryCgroup.create(context, LIMIT_BYTES);
  const files = models.map(graphOf);
  const child = startChild(context, 'memory/plain-many-main', files, { cgroup });
  let opened = 0;
  const count = async () => {
    for (;;) {
      opened = Number(await child.next());
      context.progress.at(`control: ${opened} models open`);
    }
  };
  const how = await Promise.race([child.ended, count().catch(() => child.ended)]);
  const kills = await cgroup.kills();
  return { opened, how, kills, killed: how === 'SIGKILL' && kills > 0 };
}

/** The file of the whole model. */
function graphOf({ directory, dtype = 'fp32' }: CachedModel): string {
  return path.join(directory, graphFileOf(dtype === 'auto' ? 'fp32' : dtype));
}

async function filesOf(models: readonly CachedModel[]): Promise<readonly string[]> {
  const files: string[] = [];
  for (const model of models) {
    files.push(graphOf(model));
    // Beside the folders of the forms lies the file of their lock.
    const entries = await readdir(mappedFolderOf(model), { withFileTypes: true, recursive: true });
    for (const entry of entries) {
      if (entry.isFile()) files.push(path.join(entry.parentPath, entry.name));
    }
  }
  return files;
}
