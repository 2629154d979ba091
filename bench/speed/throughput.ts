import { availableCpus } from '../../src/system/cpus.js';
import {
  atLeast,
  atMost,
  type Benchmark,
  type Check,
  type Context,
  type Fact,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { isMeasured, measuredOr, type NotMeasured } from '../harness/checks.js';
import { cpuMs, machineBusyMs, ownCpuMs } from '../harness/machine/cpu-time.js';
import { bundledModel, type CachedModel, measuredModels, titleOf } from '../harness/models.js';
import { RawLoop, type RawWay } from '../harness/programs/raw-loop.js';
import { ROOMY_SESSIONS, type ServerUnderTest, startServer, UNCACHED } from '../harness/server.js';
import { latencies, median, rounded, spread } from '../harness/spread.js';
import { compiled, measuredUsers, warmUp } from '../harness/users/closed-users.js';
import { mailSource, spreadMails } from '../harness/users/mails.js';

const LEAST_RATIO = 0.9;
const MOST_MAIN_SHARE = 0.15;
const USERS = 32;
const SIZES = {
  full: { rounds: 3, ms: 8000, probeMs: 2000 },
  quick: { rounds: 1, ms: 4000, probeMs: 1500 },
};

export const throughput: Benchmark = {
  name: 'throughput',
  about: `items/s of ${USERS} users over HTTP, against a bare loop around the same model (1.00: equal)`,
  run,
};

type Rates = Awaited<ReturnType<typeof measuredUsers>>;

interface Round {
  readonly raw: number;
  readonly server: number;
  /** CPU time of one item, in ms. */
  readonly cpuOfItem: Readonly<Record<'main' | 'workers' | 'client', number>>;
  /** The main process's part of the CPU time of the server's processes. */
  readonly mainShare: number;
  /** Part of the cores that other processes took meanwhile. */
  readonly others: number;
  readonly got: Rates;
}

interface Measured {
  readonly way: RawWay;
  readonly gears: readonly string[];
  readonly rounds: readonly Round[];
}

async function run(context: Context): Promise<Outcome> {
  const ratios: string[] = [];
  const checks: Check[] = [];
  const facts: Fact[] = [];
  const details: unknown[] = [];
  for (const model of await measuredModels(context)) {
    const measured = await measuredOr(() => measure(context, model));
    checks.push(...checksOf(model.id, measured));
    if (!isMeasured(measured)) continue;
    ratios.push(`${titleOf(model.id)} ${median(measured.rounds.map(ratioOf)).toFixed(2)}`);
    facts.push(...factsOf(model.id, measured));
    const rounds = measured.rounds.map(({ got: _, ...of }) => of);
    details.push({ ...measured, model: model.id, rounds });
  }
  return {
    headline: ratios.join(', '),
    ...{ checks, facts, details: { users: USERS, models: details } },
  };
}

async function measure(context: Context, model: CachedModel): Promise<Measured> {
  const { progress } = context;
  const { rounds: count, ms, probeMs } = sizeOf(context, SIZES);
  const cores = Math.max(1, Math.floor(await availableCpus()));
  const mails = spreadMails();
  progress.at(`${model.id}: the best raw loop`);
  const raw = new RawLoop(context, model, cores);
  const way = await raw.bestWay(cores, mails, probeMs);
  const models = [...new Set([model, bundledModel])];
  const settings = { ...UNCACHED, ...ROOMY_SESSIONS };
  const server = await startServer(context, { models, settings });
  const nextText = mailSource(mails);
  const options = { users: USERS, ms, modelOf: () => model.id, nextText };
  const rounds: Round[] = [];
  let gears: readonly string[] = [];
  try {
    progress.at(`${model.id}: warming up`);
    await compiled(server.api);
    for (let round = 1; round <= count; round += 1) {
      progress.at(`${model.id}: round ${round} of ${count}`);
      const rawRate = await raw.itemsPerSecond(way, mails, ms);
      // Nobody asked the server meanwhile, so it has unloaded the model.
      gears = await warmUp(server.api, USERS, model.id, nextText);
      const load = () => measuredUsers(server.api, options);
      rounds.push({ raw: rawRate, ...(await underLoad(server, load, cores)) });
    }
  } finally {
    await server.stop();
    await raw.stop();
  }
  return { way, gears, rounds };
}

/** A load, and whose CPU time it took. */
async function underLoad(
  server: ServerUnderTest,
  load: () => Promise<Rates>,
  cores: number,
): Promise<Omit<Round, 'raw'>> {
  const { processes } = await server.api.memory();
  const cpu = () => ({
    main: cpuMs(server.pid),
    server: processes.reduce((sum, { pid }) => sum + cpuMs(pid), 0),
    client: ownCpuMs(),
    machine: machineBusyMs(),
    clock: performance.now(),
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
    others: (of('machine') - of('server') - of('client')) / (of('clock') * cores),
    got,
  };
}

function ratioOf({ server, raw }: Round): number {
  return server / raw;
}

function checksOf(id: string, measured: Measured | NotMeasured): readonly Check[] {
  const figure = (of: (round: Round) => number) =>
    isMeasured(measured) ? rounded(median(measured.rounds.map(of))) : measured;
  const share = figure(({ mainShare }) => mainShare);
  return [
    atLeast(`${id}: items/s ÷ raw loop`, figure(ratioOf), LEAST_RATIO),
    atMost(`${id}: main process’s part of the server’s CPU time`, share, MOST_MAIN_SHARE),
  ];
}

function factsOf(id: string, { way, gears, rounds }: Measured): readonly Fact[] {
  const each = (what: 'raw' | 'server' | 'others') => rounds.map((of) => of[what]);
  const cpu = (['main', 'workers', 'client'] as const).map((who) =>
    median(rounds.map(({ cpuOfItem }) => cpuOfItem[who])).toFixed(2),
  );
  const raw = `raw loop, ${way.processes} processes × ${way.threads} threads, batch ${way.batch}`;
  return [
    { fact: `${id}: ratio`, value: spread(rounds.map(ratioOf)) },
    { fact: `${id}: server, ${gears.join(', ')}`, value: spread(each('server'), ' items/s', 1) },
    { fact: `${id}: ${raw}`, value: spread(each('raw'), ' items/s', 1) },
    { fact: `${id}: latency`, value: latencies(rounds.flatMap(({ got }) => got.ms)) },
    { fact: `${id}: CPU of one item in main, workers, client`, value: `${cpu.join(', ')} ms` },
    { fact: `${id}: part of the cores that others took`, value: spread(each('others')) },
  ];
}
