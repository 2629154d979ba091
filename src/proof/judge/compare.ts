/** Compares a run with an earlier one, figure by figure, each difference with its interval. Pure. */

import { median } from '../statistics.js';
import type { Comparison, DifferenceRow } from './comparison.js';
import { THRESHOLDS } from './criteria/thresholds.js';
import type { Figures, SessionFigures } from './figures.js';
import { shiftBetween } from './rank-test.js';
import type { ProofReport } from './report-schema.js';

/** Fewer values give no interval of 95 %: of 3 and 3 all pairs together reach 90 %. */
const MIN_VALUES = 4;

export interface ThisRun {
  readonly figures: Figures;
  /** Of the successful requests, in ms. */
  readonly responses: readonly number[];
  readonly options: Pick<ProofReport['options'], 'profile' | 'model' | 'users' | 'requests'> & {
    readonly inputs_sha256: string;
  };
  readonly cores: number;
}

export function compareReports(here: ThisRun, earlier: ProofReport): Comparison {
  const { machine, options, run, verdict, figures } = earlier;
  const of = (pick: (session: SessionFigures) => number | null) =>
    [figures.sessions, here.figures.sessions].map((sessions) =>
      sessions.map(pick).filter((value) => value !== null),
    );
  const sizes = (figure: string, pick: (session: SessionFigures) => number | null) =>
    row(figure, 'mb', of(pick), true);
  return {
    earlier: {
      ...{ started_at: run.started_at, verdict, cores: machine.cores, total_mb: machine.total_mb },
      ...{ profile: options.profile, model: options.model, inputs_sha256: options.inputs.sha256 },
    },
    differs_in: differences(here, earlier),
    rows: [
      sizes('private memory after a cleanup', (one) => one.private_after_mb),
      sizes('private memory taken by a session', (one) =>
        one.recycled_meanwhile ? null : one.taken_mb,
      ),
      row(
        'share returned',
        'percent',
        of((one) => one.returned_percent),
        false,
      ),
      slopes(figures, here.figures),
      row('response time', 'ms', [responsesOf(earlier), here.responses], false),
      row(
        'cleanup',
        'ms',
        of((one) => one.receipt_ms),
        false,
      ),
      row(
        'session time',
        'ms',
        of((one) => one.play_ms),
        false,
      ),
    ],
  };
}

function row(
  figure: string,
  unit: DifferenceRow['unit'],
  [before = [], now = []]: readonly (readonly number[])[],
  isJudged: boolean,
): DifferenceRow {
  const enough = before.length >= MIN_VALUES && now.length >= MIN_VALUES;
  const found = enough ? shiftBetween(now, before) : null;
  const earlier = before.length === 0 ? null : median(before);
  return {
    figure,
    unit,
    earlier,
    here: now.length === 0 ? null : median(now),
    difference: found?.shift ?? null,
    low: found?.interval.low ?? null,
    high: found?.interval.high ?? null,
    allowed: isJudged && earlier !== null ? allowedOf(earlier) : null,
  };
}

function allowedOf(earlierMb: number): number {
  const { regressionMb, regressionPercent } = THRESHOLDS;
  return Math.max(regressionMb, (earlierMb * regressionPercent) / 100);
}

/** Two slopes with their intervals: G. Y. Zou and A. Donner, Statistics in Medicine 27 (2008), "MOVER". */
function slopes({ trend: before }: Figures, { trend: now }: Figures): DifferenceRow {
  const { slope_kb: a, low_kb: aLow, high_kb: aHigh } = now;
  const { slope_kb: b, low_kb: bLow, high_kb: bHigh } = before;
  const head = { figure: 'growth from session to session', unit: 'kb' as const, allowed: null };
  if (
    a === null ||
    b === null ||
    aLow === null ||
    aHigh === null ||
    bLow === null ||
    bHigh === null
  ) {
    return { ...head, earlier: b, here: a, difference: null, low: null, high: null };
  }
  return {
    ...head,
    ...{ earlier: b, here: a, difference: a - b },
    low: a - b - Math.hypot(a - aLow, bHigh - b),
    high: a - b + Math.hypot(aHigh - a, b - bLow),
  };
}

function responsesOf({ requests: { columns, rows } }: ProofReport): readonly number[] {
  const [ok, ms] = [columns.indexOf('ok'), columns.indexOf('ms')];
  return rows.flatMap((cells) => {
    const time = cells[ms];
    return cells[ok] === true && typeof time === 'number' ? [time] : [];
  });
}

function differences({ options: now, cores }: ThisRun, earlier: ProofReport): readonly string[] {
  const { options: then, machine } = earlier;
  const differs: readonly (readonly [string, boolean])[] = [
    ['profile', now.profile !== then.profile],
    ['model', now.model !== then.model],
    ['users', now.users !== then.users],
    ['requests of a user', now.requests !== then.requests],
    ['texts', now.inputs_sha256 !== then.inputs.sha256],
    ['cores', cores !== machine.cores],
  ];
  return differs.filter(([, is]) => is).map(([name]) => name);
}
