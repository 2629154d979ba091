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
import { type ServerUnderTest, startServer } from '../harness/server.js';
import { latencies, median, rounded, spread } from '../harness/spread.js';
import { type ClosedRun, closedUsers, compiled, warmUp } from './closed-users.js';
import { cpuMs, machineBusyMs, ownCpuMs } from './cpu-time.js';
import { bundledModel, mailSource, spreadMails } from './mails.js';
import { measuredModels } from './measured-models.js';
import { RawLoop, type RawWay } from './raw.js';

const LEAST_RATIO = 0.9;
const MOST_MAIN_SHARE = 0.15;
const USERS = 32;
const FULL = { rounds: 3, ms: 8000, probeMs: 2000 };
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

/** CPU time of one item, in ms. */
interface CpuOfItem {
  readonly main: number;
  readonly workers: number;
  readonly client: number;
}

interface Round {
  readonly raw: number;
  readonly server: number;
  readonly cpuOfItem: CpuOfItem;
  /** Main process's part of the CPU time of the server's processes. */
  readonly mainShare: number;
  /** Part of the cores that processes of others took meanwhile. */
  readonly others: number;
  readonly got: ClosedRun;
}

async function measure(context: Context, model: CachedModel): Promise<ModelOutcome> {
  const { progress } = context;
  const { rounds: count, ms, probeMs } = context.quick ? QUICK : FULL;
  const cores = Math.max(1, Math.floor(await availableCpus()));
  const mails = spreadMails();
  progress.at(`${model.id}: the best raw loop`);
  const raw = new RawLoop(context, model, cores);
  const way = await raw.bestWay(cores, mails, probeMs);
  const settings = { 'cache.max_size': 0, 'session.max_users': 1000 };
  const models = [...new Set([model, bundledModel])];
  const server = await startServer(context, { models, settings });
  const nextText = mailSource(mails);
  const rounds: Round[] = [];
  let gears: readonly string[] = [];
  try {
    progress.at(`${model.id}: warming up`);
    await compiled(server.api);
    for (let round = 1; round <= count; round += 1) {
      progress.at(`${model.id}: round ${round} of ${count}`);
      const rawRate = await raw.itemsPerSecond(way, mails, ms);
      // Nobody asked the server meanwhile: it has unloaded the model, or will.
      gears = await warmUp(server.api, USERS, model.id, nextText);
      const load = () => closedUsers(server.api, USERS, ms, () => model.id, nextText);
      rounds.push({ raw: rawRate, ...(await underLoad(server, load, ms * cores)) });
    }
  } finally {
    await server.stop();
    await raw.stop();
  }
  return outcomeOf(model.id, way, gears, rounds);
}

/** @param coreMs all that the cores have to give meanwhile, in ms */
async function underLoad(
  server: ServerUnderTest,
  load: () => Promise<ClosedRun>,
  coreMs: number,
): Promise<Omit<Round, 'raw'>> {
  const { processes } = await server.api.memory();
  const cpu = () => ({
    main: cpuMs(server.pid),
    server: processes.reduce((sum, { pid }) => sum + cpuMs(pid), 0),
    client: ownCpuMs(),
    machine: machineBusyMs(),
  });
  const before = cpu();
  const got = await load();
  const after = cpu();
  const of = (who: keyof typeof before) => after[who] - before[who];
  const items = Math.max(1, got.tally.replies.length);
  return {
    server: got.itemsPerSecond,
    cpuOfItem: {
      main: of('main') / items,
      workers: (of('server') - of('main')) / items,
      client: of('client') / items,
    },
    mainShare: of('main') / Math.max(1, of('server')),
    others: (of('machine') - of('server') - of('client')) / coreMs,
    got,
  };
}

function outcomeOf(
  id: string,
  way: RawWay,
  gears: readonly string[],
  rounds: readonly Round[],
): ModelOutcome {
  const ratios = rounds.map(({ raw, server }) => server / raw);
  const each = (what: 'raw' | 'server' | 'mainShare' | 'others') => rounds.map((of) => of[what]);
  const cpu = (['main', 'workers', 'client'] as const).map((who) =>
    median(rounds.map(({ cpuOfItem }) => cpuOfItem[who])).toFixed(2),
  );
  const rawName = `raw, ${way.processes} processes × ${way.threads} threads, batch ${way.batch}`;
  const main = rounded(median(each('mainShare')));
  return {
    checks: [
      atLeast(`${id}: items/s ÷ raw`, rounded(median(ratios)), LEAST_RATIO),
      atMost(`${id}: main process’s share of CPU`, main, MOST_MAIN_SHARE),
    ],
    facts: [
      { fact: `${id}: ratio`, value: spread(ratios) },
      { fact: `${id}: server, ${gears.join(', ')}`, value: spread(each('server'), ' items/s', 1) },
      { fact: `${id}: ${rawName}`, value: spread(each('raw'), ' items/s', 1) },
      {
        fact: `${id}: latency at ${USERS} users`,
        value: latencies(rounds.flatMap(({ got }) => got.ms)),
      },
      {
        fact: `${id}: CPU of one item in main, workers, load generator`,
        value: `${cpu.join(', ')} ms`,
      },
      { fact: `${id}: part of the cores that others took`, value: spread(each('others')) },
      ...rounds.flatMap(({ got }) => got.tally.failureFacts).slice(0, 3),
    ],
    detail: { model: id, way, gears, ratios, rounds: rounds.map(({ got: _, ...of }) => of) },
  };
}
