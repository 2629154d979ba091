import type { Answer } from '../../src/contract/classify.js';
import {
  atMost,
  type Benchmark,
  type Context,
  type Fact,
  type Outcome,
} from '../harness/benchmark.js';
import { closedLoop } from '../harness/load.js';
import type { CachedModel } from '../harness/models.js';
import { startServer } from '../harness/server.js';
import { median, rounded } from '../harness/spread.js';
import { warmUp } from './closed-users.js';
import { mailSource, realMails } from './mails.js';
import { measuredModels } from './measured-models.js';
import { type Bar, type StageName, stageNames, stagesPicture } from './stage-picture.js';

const MOST_OVERHEAD_MS = 1.5;
const USERS = [1, 32];
const MS = { full: 5000, quick: 2000 };

/** Where the time of a request goes, and the picture of it in docs/performance.md. */
export const stages: Benchmark = {
  name: 'stages',
  about: 'where the time of a request goes, for 1 and for 32 users; `--keep` draws it into docs/',
  run,
};

type Stages = Readonly<Record<StageName, number>>;

async function run(context: Context): Promise<Outcome> {
  const bars: Bar[] = [];
  const checks = [];
  const facts: Fact[] = [];
  for (const model of await measuredModels(context, ['bert-base'])) {
    for (const users of USERS) {
      context.progress.at(`${model.id}, ${users} users`);
      const samples = await measure(context, model, users);
      const of = (name: StageName) => samples.map((stages) => stages[name]);
      const mean = (name: StageName) => of(name).reduce((sum, ms) => sum + ms, 0) / samples.length;
      const means = Object.fromEntries(stageNames.map((name) => [name, rounded(mean(name), 3)]));
      const title = `${model.id}, ${users === 1 ? '1 user' : `${users} users`}`;
      bars.push({ title, stages: means as Stages });
      facts.push({
        fact: `${title}: mean of ${samples.length}`,
        value: stageNames.map((name) => `${name} ${mean(name).toFixed(2)}`).join(', '),
      });
      if (users > 1) continue;
      const overhead = samples.map((each) => each.HTTP + each.main + each.queue);
      const p50 = rounded(median(overhead), 3);
      checks.push(atMost(`${title}: p50 of all but the worker, ms`, p50, MOST_OVERHEAD_MS));
    }
  }
  return {
    checks,
    facts,
    details: { bars },
    pictures: { 'docs/request-time.svg': stagesPicture(bars) },
  };
}

async function measure(
  context: Context,
  model: CachedModel,
  users: number,
): Promise<readonly Stages[]> {
  const settings = { 'cache.max_size': 0, 'session.max_users': 1000 };
  const server = await startServer(context, { models: [model], settings });
  const nextText = mailSource(realMails());
  const samples: Stages[] = [];
  try {
    await warmUp(server.api, users, model.id, nextText);
    const until = performance.now() + (context.quick ? MS.quick : MS.full);
    await closedLoop(
      users,
      () => performance.now() < until,
      async (user) => {
        const body = { model: model.id, inputs: nextText(), user: `user-${user}` };
        const reply = await server.api.classify(body);
        if (reply.status !== 200) return false;
        const { timing } = reply.body as Answer;
        const { queue_ms: queue, tokenize_ms: tokenize, run_ms: run, total_ms: total } = timing;
        const main = Math.max(0, total - queue - tokenize - run);
        samples.push({ HTTP: Math.max(0, reply.ms - total), main, queue, tokenize, run });
        return true;
      },
    );
  } finally {
    await server.stop();
  }
  return samples;
}
