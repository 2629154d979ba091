import path from 'node:path';
import {
  atLeast,
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Fact,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { machineBusyMs } from '../harness/machine/cpu-time.js';
import { bundledModel } from '../harness/models.js';
import { temporaryFolder } from '../harness/program.js';
import { type ServerUnderTest, startServer, UNCACHED } from '../harness/server.js';
import { latencies, median, quantile, rounded, spread } from '../harness/spread.js';
import { compiled } from '../harness/users/closed-users.js';
import { distinctMails, spreadMails } from '../harness/users/mails.js';
import { JobClient, writeRows } from './job-runs.js';

const USERS = 8;
/** Each user reads an answer for so long before the next request. */
const PAUSE_MS = 150;
const MOST_P99 = 1.3;
const LEAST_SHARE = 0.7;
const SIZES = {
  full: { rounds: 5, ms: 12_000, rows: 200_000 },
  quick: { rounds: 1, ms: 3000, rows: 20_000 },
};

export const bulkBeside: Benchmark = {
  name: 'bulk-beside',
  about: `p99 of ${USERS} users beside a bulk job, and what the job gets of the time that they leave`,
  run,
};

interface Round {
  readonly alone: readonly number[];
  readonly beside: readonly number[];
  /** CPU time that the whole machine took for the users alone, as a part of what it takes for the job alone. */
  readonly taken: number;
  /** Items per second of the job by itself, of the users beside it, of the job beside them. */
  readonly job: number;
  readonly users: number;
  readonly jobBeside: number;
  readonly failed: number;
}

async function run(context: Context): Promise<Outcome> {
  const { rounds: count, ms, rows } = sizeOf(context, SIZES);
  const folder = await temporaryFolder(context, 'bulk-beside');
  const mails = spreadMails();
  const input = path.join(folder, 'mails.jsonl');
  await writeRows(input, 'jsonl', rows, distinctMails(mails));
  const server = await startServer(context, {
    models: [bundledModel],
    settings: { ...UNCACHED, 'jobs.folders': folder },
  });
  await compiled(server.api);
  const nextText = distinctMails(mails);
  const rounds: Round[] = [];
  await users(server, ms / 2, nextText);
  for (let round = 1; round <= count; round += 1) {
    context.progress.at(`round ${round} of ${count}`);
    const files = { input, output: path.join(folder, `out-${round}`) };
    rounds.push(await measureRound(server, files, ms, nextText));
  }
  await server.stop();
  return outcomeOf(rounds);
}

/** Users alone, then a job alone, then both. */
async function measureRound(
  server: ServerUnderTest,
  files: { readonly input: string; readonly output: string },
  ms: number,
  nextText: () => string,
): Promise<Round> {
  const client = new JobClient(server);
  const [alone, cpuOfUsers] = await withCpu(() => users(server, ms, nextText));
  const { id } = await client.submit({ ...files, model: bundledModel.id });
  await client.until(id, (job) => job.rows.done > 1000);
  const rowsNow = async (): Promise<RowsAt> => ({
    rows: (await client.show(id)).rows.done,
    at: performance.now(),
  });
  const begin = await rowsNow();
  const [end, cpuOfJob] = await withCpu(() => after(ms / 2, rowsNow));
  const besideBegin = await rowsNow();
  const beside = await users(server, ms, nextText);
  const besideEnd = await rowsNow();
  await client.cancel(id);
  return {
    ...{ alone: alone.ms, beside: beside.ms, failed: alone.failed + beside.failed },
    taken: cpuOfUsers / cpuOfJob,
    job: rowsPerSecond(begin, end),
    users: (beside.ms.length * 1000) / (besideEnd.at - besideBegin.at),
    jobBeside: rowsPerSecond(besideBegin, besideEnd),
  };
}

/** Rows of a job that are done, and when they were. */
interface RowsAt {
  readonly rows: number;
  readonly at: number;
}

function rowsPerSecond(begin: RowsAt, end: RowsAt): number {
  return ((end.rows - begin.rows) * 1000) / (end.at - begin.at);
}

function outcomeOf(rounds: readonly Round[]): Outcome {
  const p99 = (of: readonly number[]) => quantile(of, 0.99);
  const ratio = rounded(
    p99(rounds.flatMap((of) => of.beside)) / p99(rounds.flatMap((of) => of.alone)),
  );
  const shares = rounds.map(({ job, taken, jobBeside }) => jobBeside / (job * (1 - taken)));
  const share = rounded(median(shares));
  const failed = rounds.reduce((sum, of) => sum + of.failed, 0);
  return {
    headline: `p99 ${ratio} × without; the job gets ${share} of what is left`,
    checks: [
      atMost('users’ p99 beside a job ÷ without', ratio, MOST_P99),
      atLeast('job’s rows/s ÷ those of the time that users leave', share, LEAST_SHARE),
      exactly('failed requests', failed, 0),
    ],
    facts: [
      {
        fact: 'p99 by round',
        value: spread(rounds.map(({ alone, beside }) => p99(beside) / p99(alone))),
      },
      ...factsOf(rounds),
    ],
    details: {
      definition:
        'what users leave: 1 less the CPU time a second that the machine takes while they ask alone, as a part of what it takes while ' +
        'the job runs alone; a row of theirs takes more than one of the job, which run many at a time. The load runs on the same machine.',
      users: USERS,
      pauseMs: PAUSE_MS,
      rounds: rounds.map(({ alone: _, beside: __, ...of }) => of),
    },
  };
}

function factsOf(rounds: readonly Round[]): readonly Fact[] {
  const each = (figure: (of: Round) => number, unit = '', digits = 2) =>
    spread(rounds.map(figure), unit, digits);
  return [
    { fact: 'CPU time of users alone ÷ of the job alone', value: each((of) => of.taken) },
    { fact: 'users alone', value: latencies(rounds.flatMap(({ alone }) => alone)) },
    { fact: 'users beside a job', value: latencies(rounds.flatMap(({ beside }) => beside)) },
    { fact: 'job alone', value: each((of) => of.job, ' rows/s', 1) },
    { fact: 'users beside it', value: each((of) => of.users, ' requests/s', 1) },
    { fact: 'job beside users', value: each((of) => of.jobBeside, ' rows/s', 1) },
  ];
}

async function users(server: ServerUnderTest, ms: number, nextText: () => string) {
  const until = performance.now() + ms;
  const took: number[] = [];
  let failed = 0;
  const one = async (user: number) => {
    while (performance.now() < until) {
      const reply = await server.api.classify({
        ...{ model: bundledModel.id, inputs: nextText(), user: `user-${user}` },
      });
      if (reply.status === 200) took.push(reply.ms);
      else failed += 1;
      await pause(PAUSE_MS);
    }
  };
  await Promise.all(Array.from({ length: USERS }, (_, user) => one(user)));
  return { ms: took, failed };
}

/** With the CPU time that the machine took meanwhile, ms for each second. */
async function withCpu<T>(work: () => Promise<T>): Promise<readonly [T, number]> {
  const [cpu, begun] = [machineBusyMs(), performance.now()];
  const done = await work();
  return [done, (1000 * (machineBusyMs() - cpu)) / (performance.now() - begun)];
}

async function after<T>(ms: number, look: () => Promise<T>): Promise<T> {
  await pause(ms);
  return look();
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
