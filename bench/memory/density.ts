import { readdir } from 'node:fs/promises';
import path from 'node:path';
import type { Api } from '../harness/api.js';
import {
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { startChild } from '../harness/child.js';
import { Tally } from '../harness/load.js';
import { MemoryCgroup } from '../harness/machine/cgroup.js';
import { dropFromPageCache } from '../harness/machine/page-cache.js';
import { type CachedModel, mappedFolder, syntheticModels } from '../harness/models.js';
import { NO_RECYCLING, startServer, UNCACHED } from '../harness/server.js';
import { rounded, spread } from '../harness/spread.js';
import { Texts } from '../harness/users/texts.js';

const LIMIT_MB = 512;
const LIMIT_BYTES = LIMIT_MB * 2 ** 20;
const MODELS = { full: 20, quick: 4 };
const ROUNDS = 2;
const GB = 2 ** 30;

export const density: Benchmark = {
  name: 'density',
  about: `bert-base models that answer in turn in a memory limit of ${LIMIT_MB} MB`,
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { progress } = context;
  // Asked for first: without one there is no point in making 20 models.
  const cgroup = await MemoryCgroup.create(context, LIMIT_BYTES);
  const models = await syntheticModels('bert-base', sizeOf(context, MODELS), progress);
  const dropped = await dropFromPageCache(await filesOf(models));
  progress.say(`page cache: ${dropped.method}, ${dropped.leftMb.toFixed(1)} MB left`);
  const settings = { ...UNCACHED, ...NO_RECYCLING };
  const server = await startServer(context, { models, settings, cgroup });
  const { tally, rounds } = await playInTurn(context, server.api, models);
  const kills = await cgroup.kills();
  const restarts = await server.api.metric('plimsoll_worker_restarts_total');
  const peakBytes = await cgroup.peakBytes();
  await server.stop();
  const ended = server.ended();
  const control = await plainControl(context, models);
  const weightsGb = models.reduce((sum, { bytes }) => sum + bytes, 0) / GB;
  const sent = ROUNDS * models.length;
  return {
    headline: `${models.length} models (${weightsGb.toFixed(1)} GB of weights), ${tally.replies.length} of ${sent} requests answered; plain ONNX Runtime: ${control.killed ? `out of memory after ${control.opened}` : `${control.opened}`}`,
    checks: [
      exactly('requests that were not answered', tally.failures.length, 0),
      exactly('processes killed for lack of memory', kills, 0),
      exactly('workers that died', restarts, 0),
      exactly('plain processes killed for lack of memory (the control)', control.killed ? 1 : 0, 1),
    ],
    facts: [
      ...tally.failureFacts,
      { fact: 'models, weights', value: `${models.length}, ${weightsGb.toFixed(2)} GB` },
      { fact: 'answers', value: String(tally.replies.length) },
      { fact: 'first round, nothing cached', value: spread(rounds[0] ?? [], ' ms', 0) },
      { fact: 'second round', value: spread(rounds[1] ?? [], ' ms', 0) },
      {
        fact: 'most that the cgroup held',
        value: `${(peakBytes / 2 ** 20).toFixed(0)} MB of ${LIMIT_MB}`,
      },
      { fact: 'the control opened', value: `${control.opened} models, then ${control.how}` },
      { fact: 'page cache dropped by', value: dropped.method },
    ],
    details: {
      definition:
        'the whole server in one cgroup (load line 80 %, the default; no result cache, no recycling by users); one user, ' +
        'one request at a time, each with a new text; mapped forms made outside of the cgroup beforehand; the control ' +
        'opens plain sessions one after another in an equal cgroup and keeps them',
      cgroup_version: cgroup.version,
      weights_gb: rounded(weightsGb),
      page_cache_left_mb: dropped.leftMb,
      server_ended: ended,
      rounds_ms: rounds,
      failures: tally.firstFailures,
      control,
    },
  };
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
  const files = models.map(({ directory }) => path.join(directory, 'onnx', 'model.onnx'));
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

async function filesOf(models: readonly CachedModel[]): Promise<readonly string[]> {
  const files: string[] = [];
  for (const { id, directory } of models) {
    files.push(path.join(directory, 'onnx', 'model.onnx'));
    const mapped = path.join(mappedFolder(), id);
    // Beside the folders of the forms lies the file of their lock.
    const entries = await readdir(mapped, { withFileTypes: true, recursive: true });
    for (const entry of entries) {
      if (entry.isFile()) files.push(path.join(entry.parentPath, entry.name));
    }
  }
  return files;
}
