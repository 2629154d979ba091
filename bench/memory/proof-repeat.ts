import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { ProofReport } from '../../src/proof/judge/report-schema.js';
import {
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { temporaryFolder } from '../harness/program.js';
import { type Proof, prove } from '../harness/programs/prove.js';
import { rounded, spread } from '../harness/spread.js';

const RUNS = { full: 20, quick: 2 };
const LIMIT_S = 240;
/** The reference profile as it is, and one with enough sessions to claim a leak. */
const PROFILES = {
  reference: [],
  'many sessions': ['--sessions', '40', '--users', '4', '--requests', '1'],
} as const;

type Proofs = Readonly<Record<keyof typeof PROFILES, readonly Proof[]>>;

export const proofRepeat: Benchmark = {
  name: 'proof-repeat',
  about: 'proofs that pass when a healthy server is judged again and again',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const folder = await temporaryFolder(context, 'proof');
  const out = path.join(folder, 'proof');
  const count = sizeOf(context, RUNS);
  const proofs: Record<keyof typeof PROFILES, Proof[]> = { reference: [], 'many sessions': [] };
  for (let number = 1; number <= count; number += 1) {
    for (const profile of ['reference', 'many sessions'] as const) {
      context.progress.at(`run ${number} of ${count}, ${profile}`);
      await rm(out, { recursive: true, force: true });
      const flags = ['--data', path.join(folder, 'data'), '--timeout', String(LIMIT_S)];
      proofs[profile].push(await prove(context, out, [...flags, ...PROFILES[profile]]));
    }
  }
  return outcomeOf(proofs, count);
}

function outcomeOf({ reference, 'many sessions': many }: Proofs, count: number): Outcome {
  const all = [...reference, ...many];
  const notHeld = all.flatMap(({ report }) =>
    report.criteria.filter(({ held }) => held === false).map(({ id, value }) => ({ id, value })),
  );
  const excluded = many.filter(
    ({ report }) => report.criteria.find(({ id }) => id === 'leak')?.held === true,
  );
  const figures = (
    of: readonly Proof[],
    pick: (report: ProofReport) => number | null | undefined,
  ) => of.map(({ report }) => pick(report) ?? Number.NaN);
  const slopes = figures(many, ({ figures: of }) => of.trend.slope_kb);
  const responses = figures(reference, ({ figures: of }) => of.load.response?.mean);
  const cleanups = figures(all, ({ figures: of }) => of.cleanup.duration?.max);
  const others = figures(all, ({ figures: of }) => of.others_cpu_percent);
  return {
    headline: `${passed(reference)} of ${count} with the reference profile, ${passed(many)} of ${count} with 40 sessions`,
    checks: [
      exactly('reference runs that passed', passed(reference), count),
      exactly('runs of 40 sessions that passed', passed(many), count),
      exactly('criteria that did not hold', notHeld.length, 0),
    ],
    facts: [
      {
        fact: 'runs of 40 sessions that could exclude a leak',
        value: `${excluded.length} of ${count}`,
      },
      { fact: 'slope of 40 sessions, KB a session', value: spread(slopes) },
      { fact: 'mean response of the reference profile', value: spread(responses, ' ms') },
      { fact: 'slowest cleanup', value: spread(cleanups, ' ms') },
      { fact: 'CPU time that other programs took', value: spread(others, ' %') },
    ],
    details: {
      definition:
        'each run is a `plimsoll prove` with its own server; 5 sessions of 8 users with 10 requests each, and 40 sessions ' +
        'of 4 users with 1 request each; passed: exit code 0 and the verdict `passed`',
      not_held: notHeld,
      runs: all.map(runDetails),
    },
  };
}

function runDetails({ exitCode, report }: Proof) {
  const { load, trend, others_cpu_percent: others } = report.figures;
  return {
    exit_code: exitCode,
    sessions: load.sessions_played,
    others_cpu_percent: others,
    response_mean_ms: rounded(load.response?.mean ?? Number.NaN),
    slope_kb: trend.slope_kb,
    high_kb: trend.high_kb,
    claimed_above_kb: trend.claimed_above_kb,
    open: report.criteria.filter(({ held }) => held === 'cannot tell').map(({ id }) => id),
  };
}

function passed(proofs: readonly Proof[]): number {
  return proofs.filter(({ exitCode, report }) => exitCode === 0 && report.verdict === 'passed')
    .length;
}
