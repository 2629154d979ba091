import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
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
import { startServer } from '../harness/server.js';
import { rounded } from '../harness/spread.js';
import { compiled } from '../harness/users/closed-users.js';
import { startJobRedis } from './job-redis.js';
import { JobClient } from './job-runs.js';

const MOST_PLAN_SECONDS = 60;
const MOST_REDIS_MB = 200;
const MOST_GROWTH_MB = 40;
const SIZES = { full: { rows: 10_000_000 }, quick: { rows: 100_000 } };
const LINES_OF_CHUNK = 20_000;

export const jobsScale: Benchmark = {
  name: 'jobs-scale',
  about: 'a job of ten million rows: time to plan it, memory of Redis and of the server',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { rows } = sizeOf(context, SIZES);
  const folder = await temporaryFolder(context, 'jobs-scale');
  const redis = await startJobRedis(context);
  const server = await startServer(context, {
    models: [bundledModel],
    settings: { 'jobs.folders': folder, 'jobs.url': redis.url, 'jobs.at_once': 1 },
  });
  await compiled(server.api);
  const client = new JobClient(server);
  const restMb = await mainMb(server);
  const checks: Check[] = [];
  const facts: Fact[] = [{ fact: 'main process at rest', value: `${rounded(restMb)} MB` }];
  for (const format of ['jsonl', 'csv'] as const) {
    context.progress.at(`${format}: writing ${rows} rows`);
    const input = path.join(folder, format, `rows.${format}`);
    await writeLines(input, format, rows);
    const redisBefore = await redis.usedMb();
    context.progress.at(`${format}: planning`);
    const began = performance.now();
    let mostMb = 0;
    const { id } = await client.submit({ input, output: path.join(folder, format, 'out') });
    const planned = await client.until(
      id,
      (job) => job.planned,
      async () => {
        mostMb = Math.max(mostMb, await mainMb(server));
      },
    );
    const seconds = (performance.now() - began) / 1000;
    const listMs = await timeOf(() => client.show(id));
    const cancelMs = await timeOf(() => client.cancel(id));
    const cancelled = await client.show(id);
    checks.push(
      atMost(`${format}: planning`, rounded(seconds), MOST_PLAN_SECONDS, 's'),
      atMost(
        `${format}: Redis`,
        rounded((await redis.usedMb()) - redisBefore),
        MOST_REDIS_MB,
        'MB',
      ),
      atMost(`${format}: main process beyond rest`, rounded(mostMb - restMb), MOST_GROWTH_MB, 'MB'),
      exactly(`${format}: cancelled`, cancelled.state === 'cancelled' ? 1 : 0, 1),
    );
    facts.push(
      { fact: `${format}: shards`, value: String(planned.shards.known) },
      {
        fact: `${format}: shown in, cancelled in`,
        value: `${rounded(listMs)}, ${rounded(cancelMs)} ms`,
      },
    );
  }
  await server.stop();
  return { headline: headlineOf(checks), checks, facts, details: { rows } };
}

/** The most of each figure. */
function headlineOf(checks: readonly Check[]): string {
  const most = (what: string) =>
    Math.max(
      ...checks.filter(({ check }) => check.endsWith(what)).map(({ value }) => Number(value)),
    ).toFixed(1);
  return `planned in ${most('planning')} s; Redis ${most('Redis')} MB, main process ${most('beyond rest')} MB beyond rest`;
}

async function mainMb({ api, pid }: Awaited<ReturnType<typeof startServer>>): Promise<number> {
  const { processes } = await api.memory();
  return processes.find((process) => process.pid === pid)?.private_mb ?? 0;
}

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

/** Short texts: it is the number of rows that counts here. */
async function writeLines(file: string, format: 'jsonl' | 'csv', rows: number): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const lineOf = (row: number) =>
    format === 'csv'
      ? `${row},"hello, number ${row}"\n`
      : `{"id":${row},"text":"hello, number ${row}"}\n`;
  const chunks = function* () {
    if (format === 'csv') yield 'id,text\n';
    for (let from = 0; from < rows; from += LINES_OF_CHUNK) {
      const length = Math.min(LINES_OF_CHUNK, rows - from);
      yield Array.from({ length }, (_, n) => lineOf(from + n)).join('');
    }
  };
  await pipeline(Readable.from(chunks()), createWriteStream(file));
}
