import { readdir } from 'node:fs/promises';
import path from 'node:path';
import type { Api } from '../harness/api.js';
import { type Benchmark, type Context, exactly, type Outcome } from '../harness/benchmark.js';
import { MemoryCgroup } from '../harness/cgroup.js';
import { startChild } from '../harness/child.js';
import { Tally } from '../harness/load.js';
import { type CachedModel, mappedFolder, syntheticModels } from '../harness/models.js';
import { dropFromPageCache } from '../harness/page-cache.js';
import { startServer } from '../harness/server.js';
import { rounded, spread } from '../harness/spread.js';
import { Texts } from '../harness/texts.js';

const LIMIT_BYTES = 512 * 2 ** 20;
const MODELS = { full: 20, quick: 4 };
const ROUNDS = 2;
const GB = 2 ** 30;
const SETTINGS = {
  'cache.max_size': 0,
  'recycle.after_users': 1_000_000_000,
};

/** More models than memory: every one answers, in a cgroup that holds one of them. */
export const density: Benchmark = {
  name: 'density',
  about: '20 bert-base models in turn in a memory cgroup of 512 MB; the plain way as control',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { progress, quick } = context;
  // Asked first: without one, there is no point in making 20 models.
  const cgroup = await MemoryCgroup.create(context, LIMIT_BYTES);
  const models = await syntheticModels('bert-base', quick ? MODELS.quick : MODELS.full, progress);
  const dropped = await dropFromPageCache(await filesOf(models));
  progress.say(`page cache: ${dropped.method}, ${dropped.leftMb.toFixed(1)} MB left`);
  const server = await startServer(context, {
    models,
    settings: SETTINGS,
    cgroup,
  });
  const played = await playInTurn(context, server.api, models);
  const kills = await cgroup.kills();
  const restarts = await server.api.metric('plimsoll_worker_restarts_total');
  const peakBytes = await cgroup.peakBytes();
  await server.stop();
  const ended = server.ended();
  const control = await plainControl(context, models);
  const weights = models.reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    checks: [
      exactly('requests not answered', played.tally.failures.length, 0),
      exactly('processes killed for lack of memory', kills, 0),
      exactly('workers that died', restarts, 0),
      exactly('the control was killed', control.killed ? 1 : 0, 1),
    ],
    facts: [
      ...played.tally.failureFacts,
      { fact: 'models, weights', value: `${models.length}, ${(weights / GB).toFixed(2)} GB` },
      { fact: 'answers', value: String(played.tally.replies.length) },
      { fact: 'first round, nothing cached', value: spread(played.rounds[0] ?? [], ' ms', 0) },
      { fact: 'second round', value: spread(played.rounds[1] ?? [], ' ms', 0) },
      { fact: 'most that the cgroup held', value: `${(peakBytes / 2 ** 20).toFixed(0)} MB of 512` },
      { fact: 'the control opened', value: `${control.opened} models, then ${control.how}` },
      { fact: 'page cache dropped by', value: dropped.method },
    ],
    details: {
      definition:
        'the whole server in one cgroup (load line 80 %, the default; no result cache, no recycling by users); one user, ' +
        'one request at a time, a new text each; mapped forms prepared outside of the cgroup beforehand',
      cgroup_version: cgroup.version,
      weights_gb: rounded(weights / GB),
      page_cache_left_mb: dropped.leftMb,
      server_ended: ended,
      rounds_ms: played.rounds,
      failures: played.tally.failures.slice(0, 40),
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
      context.progress.at(`round ${round}, model ${index + 1} of ${models.length}`);
      const reply = await api.classify({ model, session, user: 'one', inputs: texts.next() });
      if (tally.take(reply)) times.push(reply.ms);
    }
    rounds.push(times);
  }
  await api.endSession(session);
  return { tally, rounds };
}

/** Plain sessions, kept open, in an equal cgroup: how far that goes. */
async function plainControl(context: Context, models: readonly CachedModel[]) {
  const cgroup = await MemoryCgroup.create(context, LIMIT_BYTES);
  const files = models.map(({ directory }) => path.join(directory, 'onnx', 'model.onnx'));
  const child = startChild(context, 'memory/plain-many', files, { cgroup });
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
    for (const form of await readdir(mapped)) {
      for (const name of await readdir(path.join(mapped, form))) {
        files.push(path.join(mapped, form, name));
      }
    }
  }
  return files;
}
