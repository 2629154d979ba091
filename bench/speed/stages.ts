import type { Answer } from '../../src/contract/classify.js';
import {
  atMost,
  type Benchmark,
  type Check,
  type Context,
  type Fact,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { closedLoop } from '../harness/load.js';
import { type CachedModel, measuredModels, titleOf } from '../harness/models.js';
import { ROOMY_SESSIONS, startServer, UNCACHED } from '../harness/server.js';
import { median, rounded } from '../harness/spread.js';
import { warmUp } from '../harness/users/closed-users.js';
import { mailSource, realMails } from '../harness/users/mails.js';
import { type Bar, type StageName, stageNames, stagesPicture } from './stages-picture.js';

const MOST_OVERHEAD_MS = 1.5;
const USERS = [1, 32];
const MS = { full: 5000, quick: 2000 };

export const stages: Benchmark = {
  name: 'stages',
  about:
    'time that a request of a lone user spends outside of the worker; `--keep` draws all its stages',
  run,
};

type Stages = Readonly<Record<StageName, number>>;

async function run(context: Context): Promise<Outcome> {
  const bars: Bar[] = [];
  const checks: Check[] = [];
  const facts: Fact[] = [];
  const headlines: string[] = [];
  for (const model of await measuredModels(context, ['bert-base'])) {
    for (const users of USERS) {
      context.progress.at(`${model.id}, ${users} users`);
      const samples = await measure(context, model, users);
      const of = (name: StageName) => samples.map((each) => each[name]);
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
      headlines.push(`${titleOf(model.id)} ${p50.toFixed(2)} ms`);
      checks.push(atMost(`${title}: p50 of all but the worker`, p50, MOST_OVERHEAD_MS, 'ms'));
    }
  }
  return {
    headline: headlines.join(', '),
    ...{ checks, facts, details: { bars } },
    pictures: { 'docs/request-time.svg': stagesPicture(bars) },
  };
}

async function measure(
  context: Context,
  model: CachedModel,
  users: number,
): Promise<readonly Stages[]> {
  const settings = { ...UNCACHED, ...ROOMY_SESSIONS };
  const server = await startServer(context, { models: [model], settings });
  const nextText = mailSource(realMails());
  const samples: Stages[] = [];
  try {
    await warmUp(server.api, users, model.id, nextText);
    const until = performance.now() + sizeOf(context, MS);
    await closedLoop(
      users,
      () => performance.now() < until,
      async (user) => {
        const body = { model: model.id, inputs: nextText(), user: `user-${user}` };
        const reply = await server.api.classify(body);
        if (reply.status !== 200) return false;
        samples.push(stagesOf(reply.ms, reply.body as Answer));
        return true;
      },
    );
  } finally {
    await server.stop();
  }
  return samples;
}

/** @param ms that the caller measured */
function stagesOf(ms: number, { timing }: Answer): Stages {
  const { queue_ms: queue, tokenize_ms: tokenize, run_ms: run, total_ms: total } = timing;
  const main = Math.max(0, total - queue - tokenize - run);
  return { HTTP: Math.max(0, ms - total), main, queue, tokenize, run };
}
