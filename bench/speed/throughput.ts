import { availableCpus } from '../../src/system/cpus.js';
import {
  atLeast,
  atMost,
  type Benchmark,
  type Check,
  type Context,
  type Fact,
  type Outcome,
} from '../harness/benchmark.js';
import type { CachedModel } from '../harness/models.js';
import { startServer } from '../harness/server.js';
import { latencies, median, rounded, spread } from '../harness/spread.js';
import { closedUsers } from './closed-users.js';
import { cpuMs } from './cpu-time.js';
import { mailSource, realMails } from './mails.js';
import { measuredModels } from './measured-models.js';
import { RawLoop } from './raw.js';

const LEAST_RATIO = 0.9;
const MOST_MAIN_SHARE = 0.15;
const USERS = 32;
const FULL = { rounds: 5, ms: 10_000, probeMs: 3000 };
const QUICK = { rounds: 1, ms: 4000, probeMs: 1500 };

/** The server gets as many items through as a tight loop around the model. */
export const throughput: Benchmark = {
  name: 'throughput',
  about: 'items/s of 32 users over HTTP, against a tight loop around the same model in one run',
  run,
};

interface ModelOutcome {
  readonly checks: readonly Check[];
  readonly facts: readonly Fact[];
  readonly detail: unknown;
}

async function run(context: Context): Promise<Outcome> {
  const outcomes: ModelOutcome[] = [];
  for (const model of await measuredModels(context)) outcomes.push(await measure(context, model));
  return {
    checks: outcomes.flatMap(({ checks }) => checks),
    facts: outcomes.flatMap(({ facts }) => facts),
    details: { users: USERS, models: outcomes.map(({ detail }) => detail) },
  };
}

async function measure(context: Context, model: CachedModel): Promise<ModelOutcome> {
  const { progress } = context;
  const { rounds, ms, probeMs } = context.quick ? QUICK : FULL;
  const cores = Math.max(1, Math.floor(await availableCpus()));
  const mails = realMails();
  progress.at(`${model.id}: the best raw loop`);
  const raw = new RawLoop(context, model, cores);
  const way = await raw.bestWay(cores, mails, probeMs);
  const settings = { 'cache.max_size': 0, 'session.max_users': 1000 };
  const server = await startServer(context, { models: [model], settings });
  const nextText = mailSource(mails);
  const ratios: number[] = [];
  const mainShares: number[] = [];
  const rates: { readonly raw: number; readonly server: number }[] = [];
  const latency: number[] = [];
  const failures: Fact[] = [];
  try {
    await server.api.load(model.id);
    await closedUsers(server.api, USERS, probeMs, () => model.id, nextText);
    for (let round = 1; round <= rounds; round += 1) {
      progress.at(`${model.id}: round ${round} of ${rounds}`);
      const rawRate = await raw.itemsPerSecond(way, mails, ms);
      const { processes } = await server.api.memory();
      const all = () => processes.map(({ pid }) => cpuMs(pid)).reduce((sum, each) => sum + each, 0);
      const [mainBefore, allBefore] = [cpuMs(server.pid), all()];
      const got = await closedUsers(server.api, USERS, ms, () => model.id, nextText);
      mainShares.push((cpuMs(server.pid) - mainBefore) / Math.max(1, all() - allBefore));
      ratios.push(got.itemsPerSecond / rawRate);
      rates.push({ raw: rawRate, server: got.itemsPerSecond });
      latency.push(...got.ms);
      failures.push(...got.tally.failureFacts);
    }
  } finally {
    await server.stop();
    await raw.stop();
  }
  const { id } = model;
  return {
    checks: [
      atLeast(`${id}: items/s ÷ raw`, rounded(median(ratios)), LEAST_RATIO),
      atMost(`${id}: main process’s share of CPU`, rounded(median(mainShares)), MOST_MAIN_SHARE),
    ],
    facts: [
      { fact: `${id}: ratio`, value: spread(ratios) },
      {
        fact: `${id}: server`,
        value: spread(
          rates.map((of) => of.server),
          ' items/s',
          1,
        ),
      },
      {
        fact: `${id}: raw, ${way.processes} processes × ${way.threads} threads, batch ${way.batch}`,
        value: spread(
          rates.map((of) => of.raw),
          ' items/s',
          1,
        ),
      },
      { fact: `${id}: latency at ${USERS} users`, value: latencies(latency) },
      ...failures.slice(0, 3),
    ],
    detail: { model: id, way, rates, ratios, main_share: mainShares },
  };
}
