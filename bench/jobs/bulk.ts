import path from 'node:path';
import { availableCpus } from '../../src/system/cpus.js';
import {
  atLeast,
  atMost,
  type Benchmark,
  type Check,
  type Context,
  exactly,
  type Fact,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { bundledModel } from '../harness/models.js';
import { temporaryFolder } from '../harness/program.js';
import { RawLoop } from '../harness/programs/raw-loop.js';
import { startServer } from '../harness/server.js';
import { median, rounded, spread } from '../harness/spread.js';
import { compiled } from '../harness/users/closed-users.js';
import { distinctMails, spreadMails } from '../harness/users/mails.js';
import { JobClient, partsIn, rateOf, writeRows } from './job-runs.js';

const LEAST_RATIO = 0.95;
const MOST_GROWTH_MB = 60;
/** Of each format: in several jobs, with the raw loop between them, as machines are faster at times. */
const SIZES = {
  full: { rows: 100_000, jobs: 5, rawMs: 8000, probeMs: 2000 },
  quick: { rows: 2000, jobs: 1, rawMs: 2000, probeMs: 1000 },
};

export const bulk: Benchmark = {
  name: 'bulk',
  about: 'rows/s and private memory of bulk jobs on the bundled model, against a raw loop',
  run,
};

type Format = 'jsonl' | 'parquet';

/** The jobs of one format, in their order. */
interface Measured {
  /** Of the raw loop: before each job, and after the last one. */
  readonly raws: readonly number[];
  /** Rows a second of each job. */
  readonly rates: readonly number[];
  readonly mostMb: number;
  /** Rows with an answer. */
  readonly done: number;
  readonly parts: number;
}

async function run(context: Context): Promise<Outcome> {
  const { rows, jobs, rawMs, probeMs } = sizeOf(context, SIZES);
  const { progress } = context;
  const folder = await temporaryFolder(context, 'bulk');
  const cores = Math.max(1, Math.floor(await availableCpus()));
  const raw = new RawLoop(context, bundledModel, cores);
  const mails = spreadMails();
  progress.at('the best raw loop');
  const way = await raw.bestWay(cores, mails, probeMs);
  const server = await startServer(context, {
    models: [bundledModel],
    settings: { 'jobs.folders': folder },
  });
  const client = new JobClient(server);
  await compiled(server.api);
  const restMb = await client.privateMb();
  const checks: Check[] = [];
  const facts: Fact[] = [];
  const size = { jobs, rowsOfJob: Math.ceil(rows / jobs) };
  for (const format of ['jsonl', 'parquet'] as const) {
    const measured = await measure(format, size, {
      ...{ client, folder, progress },
      textsOfJob: () => distinctMails(mails),
      rawLoop: () => raw.itemsPerSecond(way, mails, rawMs),
    });
    const ratios = ratiosOf(measured);
    checks.push(...checksOf(format, measured, ratios, { ...size, restMb }));
    facts.push(...factsOf(format, measured, ratios));
  }
  await server.stop();
  await raw.stop();
  facts.push({ fact: 'private memory at rest', value: `${restMb.toFixed(1)} MB` });
  const headline = checks
    .filter(({ check }) => check.includes('÷'))
    .map(({ check, value }) => `${check.split(':')[0]} ${value}`)
    .join(', ');
  return { headline, checks, facts, details: { rows, way } };
}

/** Runs the jobs of a format, one after the other, with the raw loop between them. */
async function measure(
  format: Format,
  { jobs, rowsOfJob }: { readonly jobs: number; readonly rowsOfJob: number },
  {
    client,
    folder,
    progress,
    textsOfJob,
    rawLoop,
  }: {
    readonly client: JobClient;
    readonly folder: string;
    readonly progress: Context['progress'];
    readonly textsOfJob: () => () => string;
    readonly rawLoop: () => Promise<number>;
  },
): Promise<Measured> {
  const raws: number[] = [];
  const rates: number[] = [];
  let [mostMb, done, parts] = [0, 0, 0];
  for (let job = 0; job < jobs; job += 1) {
    progress.at(`${format}: job ${job + 1} of ${jobs}`);
    raws.push(await rawLoop());
    const input = path.join(folder, `${format}-${job}`, `mails.${format}`);
    const output = path.join(folder, `${format}-${job}`, 'out');
    await writeRows(input, format, rowsOfJob, textsOfJob());
    const { id } = await client.submit({ input, output, model: bundledModel.id, id: 'id' });
    const ended = await client.until(
      id,
      ({ state }) => state === 'done',
      async () => {
        mostMb = Math.max(mostMb, await client.privateMb());
      },
    );
    rates.push(rateOf(ended));
    done += ended.rows.done - ended.rows.bad;
    parts += await partsIn(output);
  }
  raws.push(await rawLoop());
  return { raws, rates, mostMb, done, parts };
}

/** Each job against the loops before and after it. */
function ratiosOf({ rates, raws }: Measured): readonly number[] {
  return rates.map((rate, n) => rate / (((raws[n] ?? 0) + (raws[n + 1] ?? 0)) / 2));
}

function checksOf(
  format: Format,
  { mostMb, done }: Measured,
  ratios: readonly number[],
  of: { readonly jobs: number; readonly rowsOfJob: number; readonly restMb: number },
): readonly Check[] {
  const grownMb = rounded(mostMb - of.restMb);
  return [
    atLeast(`${format}: rows/s ÷ raw loop`, rounded(median(ratios)), LEAST_RATIO),
    atMost(`${format}: private memory beyond rest`, grownMb, MOST_GROWTH_MB, 'MB'),
    exactly(`${format}: rows without an answer`, of.rowsOfJob * of.jobs - done, 0),
  ];
}

function factsOf(
  format: Format,
  { rates, raws, parts }: Measured,
  ratios: readonly number[],
): readonly Fact[] {
  return [
    { fact: `${format}: ratio`, value: spread(ratios) },
    { fact: `${format}: job`, value: spread(rates, ' rows/s', 1) },
    { fact: `${format}: raw loop`, value: spread(raws, ' items/s', 1) },
    { fact: `${format}: parts`, value: String(parts) },
  ];
}
