import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ProofReport } from '../../src/proof/judge/report-schema.js';
import { type Benchmark, type Context, exactly, type Outcome } from '../harness/benchmark.js';
import { serverEnvironment, serverProgram } from '../harness/program.js';
import { rounded, spread } from '../harness/spread.js';

const RUNS = { full: 20, quick: 2 };
/** The reference profile as it is; and one with enough sessions that a leak could be claimed. */
const PROFILES = {
  reference: [],
  'many sessions': ['--sessions', '40', '--users', '4', '--requests', '1'],
} as const;
const LIMIT_S = 240;

/** The same proof, again and again: a clean server is never accused. */
export const proofRepeat: Benchmark = {
  name: 'proof-repeat',
  about:
    'the proof of a clean server 20 times, by the reference profile and with 40 sessions: it passes each time',
  run,
};

interface Ran {
  readonly exitCode: number | null;
  readonly report: ProofReport;
}

async function run(context: Context): Promise<Outcome> {
  const { quick, progress, defer } = context;
  const folder = await mkdtemp(path.join(tmpdir(), 'plimsoll-bench-proof-'));
  defer(() => rm(folder, { recursive: true, force: true }));
  const count = quick ? RUNS.quick : RUNS.full;
  const ran: Record<keyof typeof PROFILES, Ran[]> = { reference: [], 'many sessions': [] };
  for (let number = 1; number <= count; number += 1) {
    for (const profile of ['reference', 'many sessions'] as const) {
      progress.at(`run ${number} of ${count}, ${profile}`);
      ran[profile].push(await prove(context, folder, PROFILES[profile]));
    }
  }
  const all = [...ran.reference, ...ran['many sessions']];
  const notHeld = all.flatMap(({ report }) =>
    report.criteria.filter(({ held }) => held === false).map(({ id, value }) => ({ id, value })),
  );
  const figures = (of: readonly Ran[], pick: (report: ProofReport) => number | null | undefined) =>
    of.map(({ report }) => pick(report) ?? Number.NaN);
  const leaks = ran['many sessions'].map(({ report }) => report.figures.trend);
  const told = ran['many sessions'].filter(
    ({ report }) => report.criteria.find(({ id }) => id === 'leak')?.held === true,
  );
  return {
    checks: [
      exactly('reference runs that passed', passed(ran.reference), count),
      exactly('runs of 40 sessions that passed', passed(ran['many sessions']), count),
      exactly('criteria that did not hold', notHeld.length, 0),
    ],
    facts: [
      {
        fact: 'runs of 40 sessions that could exclude a leak',
        value: `${told.length} of ${count}`,
      },
      {
        fact: 'slope of 40 sessions, KB a session',
        value: spread(leaks.map(({ slope_kb }) => slope_kb ?? Number.NaN)),
      },
      {
        fact: 'mean response of the reference profile',
        value: spread(
          figures(ran.reference, ({ figures: of }) => of.load.response?.mean),
          ' ms',
        ),
      },
      {
        fact: 'slowest cleanup',
        value: spread(
          figures(all, ({ figures: of }) => of.cleanup.duration?.max),
          ' ms',
        ),
      },
      {
        fact: 'CPU time that other programs took',
        value: spread(
          figures(all, ({ figures: of }) => of.others_cpu_percent),
          ' %',
        ),
      },
    ],
    details: {
      definition:
        'each run a `plimsoll prove` with a server of its own; 5 sessions of 8 users with 10 requests each, and 40 sessions ' +
        'of 4 users with 1 request each; passed: exit code 0 and the verdict `passed`',
      not_held: notHeld,
      runs: all.map(({ exitCode, report }) => ({
        exit_code: exitCode,
        sessions: report.figures.load.sessions_played,
        others_cpu_percent: report.figures.others_cpu_percent,
        response_mean_ms: rounded(report.figures.load.response?.mean ?? Number.NaN),
        slope_kb: report.figures.trend.slope_kb,
        high_kb: report.figures.trend.high_kb,
        claimed_above_kb: report.figures.trend.claimed_above_kb,
        open: report.criteria.filter(({ held }) => held === 'cannot tell').map(({ id }) => id),
      })),
    },
  };
}

function passed(runs: readonly Ran[]): number {
  return runs.filter(({ exitCode, report }) => exitCode === 0 && report.verdict === 'passed')
    .length;
}

async function prove(
  { defer }: Pick<Context, 'defer'>,
  folder: string,
  flags: readonly string[],
): Promise<Ran> {
  const out = path.join(folder, 'proof');
  await rm(out, { recursive: true, force: true });
  const args = ['prove', '--out', out, '--data', path.join(folder, 'data'), ...flags];
  const child = spawn(process.execPath, [serverProgram, ...args, '--timeout', String(LIMIT_S)], {
    env: serverEnvironment(),
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', resolve);
  });
  // It ends its server before it ends itself.
  defer(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  const exitCode = await ended;
  const report: ProofReport = JSON.parse(await readFile(path.join(out, 'report.json'), 'utf8'));
  return { exitCode, report };
}
