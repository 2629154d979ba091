/** Whether a form answers as fp32 does, and faster. Pure. */
import type { ScoreFunction } from '../../intake/reading/scoring.js';
import type { Bounds } from '../../intake/verification.js';
import type { Agreement, Speed } from './verdict.js';

/** What decides the label of a row. */
export interface Labelling {
  readonly scoring: ScoreFunction;
  /** By label index; undefined where the label has none. */
  readonly thresholds: readonly (number | undefined)[];
}

type Row = readonly number[];

/** Scores of the same rows: by fp32, by the form with each row alone, and by the form among neighbours. */
export interface Answers {
  readonly reference: readonly Row[];
  readonly alone: readonly Row[];
  readonly batched: readonly Row[];
}

/** From here on a label without a threshold of its own applies, where each label is decided apart. */
const HALF = 0.5;
/**
 * Most by which a row's score may change among neighbours. fp32 changes by some 1e-6, integers with a scale for each
 * token by one rounding step in a few places; one scale for a whole batch changes scores by up to 0.12.
 */
export const MOST_BY_NEIGHBOURS = 0.005;
/** Neither one row nor a batch may fall behind fp32 by more, as a part of the speed-up that is asked for. */
const LEAST_EACH = 0.85;

/** Compares the answers row by row, each alone and in its batch. */
export function agreementOf(answers: Answers, labelling: Labelling, bounds: Bounds): Agreement {
  const { reference, alone, batched } = answers;
  const scale = scaleOf(reference, labelling.scoring);
  let [shift, neighbours, clearFlips, nearFlips] = [0, 0, 0, 0];
  for (const [at, row] of reference.entries()) {
    const [own, beside] = [alone[at] ?? [], batched[at] ?? []];
    shift = Math.max(shift, distance(row, own) / scale, distance(row, beside) / scale);
    neighbours = Math.max(neighbours, distance(own, beside) / scale);
    const label = labelOf(row, labelling);
    if (label === labelOf(own, labelling) && label === labelOf(beside, labelling)) continue;
    if (marginOf(row, labelling) <= bounds.shift * scale) nearFlips += 1;
    else clearFlips += 1;
  }
  const rows = reference.length;
  const labels = rows === 0 ? 0 : (100 * (rows - clearFlips - nearFlips)) / rows;
  return { rows, labels, clearFlips, nearFlips, shift, neighbours };
}

/**
 * Why a form must not serve; undefined if it may.
 *
 * 1. A score depends on its neighbours.
 * 2. A score is further from fp32 than the bound.
 * 3. Too many labels differ.
 */
export function objection(of: Agreement, bounds: Bounds): string | undefined {
  // Negated, so that what is no number is refused as well.
  if (!(of.neighbours <= MOST_BY_NEIGHBOURS)) {
    return `a score changes by ${shown(of.neighbours)} with the texts beside it; ${MOST_BY_NEIGHBOURS} is allowed`; // 1
  }
  if (!(of.shift <= bounds.shift)) {
    return `a score differs from fp32 by ${shown(of.shift)}; ${bounds.shift} is allowed (verify.shift)`; // 2
  }
  if (!(of.labels >= bounds.labels)) {
    const flips = of.clearFlips + of.nearFlips;
    return `${flips} of ${of.rows} labels differ from fp32: ${of.labels.toFixed(2)} % agree, ${bounds.labels} % are asked for (verify.labels)`; // 3
  }
  return undefined;
}

/** The bounds for the first rows of many: only what the others cannot mend any more counts. */
export function boundsFor(rows: number, all: number, bounds: Bounds): Bounds {
  const allowed = Math.floor(all * (1 - bounds.labels / 100));
  return rows >= all ? bounds : { ...bounds, labels: 100 * Math.max(0, 1 - allowed / rows) };
}

/** Why a form is not worth its rounding; undefined if it is fast enough. */
export function isTooSlow({ oneRow, batch }: Speed, { speedup }: Bounds): string | undefined {
  // Times add up as the inverses of the factors.
  const both = 2 / (1 / oneRow + 1 / batch);
  if (both >= speedup && Math.min(oneRow, batch) >= LEAST_EACH * speedup) return undefined;
  return `it is not fast enough here: ${oneRow.toFixed(2)} × fp32 for one row, ${batch.toFixed(2)} × for a batch; ${speedup} × is asked for (verify.speedup)`;
}

/** The faster one of two speeds comes first. */
export function fasterFirst(a: Speed, b: Speed): number {
  return 1 / a.oneRow + 1 / a.batch - (1 / b.oneRow + 1 / b.batch);
}

/** Scores of 0 to 1 count as they are, others as parts of the largest. */
function scaleOf(rows: readonly Row[], scoring: ScoreFunction): number {
  if (scoring !== 'none') return 1;
  return rows.reduce((most, row) => Math.max(most, ...row.map(Math.abs)), 1);
}

function distance(left: Row, right: Row): number {
  if (left.length !== right.length) return Number.POSITIVE_INFINITY;
  return left.reduce((most, value, at) => Math.max(most, Math.abs(value - (right[at] ?? 0))), 0);
}

/** Whether each label is decided by itself rather than as the best of all. */
function isApart(row: Row, { scoring, thresholds }: Labelling): boolean {
  const hasThresholds = thresholds.some((threshold) => threshold !== undefined);
  return scoring === 'sigmoid' || hasThresholds || row.length === 1;
}

function thresholdOf({ scoring, thresholds }: Labelling, label: number): number {
  // A single output that is no probability has no label: it is on the same side of this always.
  return thresholds[label] ?? (scoring === 'none' ? Number.NEGATIVE_INFINITY : HALF);
}

function labelOf(row: Row, labelling: Labelling): string {
  if (!isApart(row, labelling)) return String(row.indexOf(Math.max(...row)));
  return row.map((score, label) => (score >= thresholdOf(labelling, label) ? 1 : 0)).join('');
}

/** How far a row is from another label. */
function marginOf(row: Row, labelling: Labelling): number {
  if (isApart(row, labelling)) {
    return Math.min(...row.map((score, label) => Math.abs(score - thresholdOf(labelling, label))));
  }
  const [best = 0, second = Number.NEGATIVE_INFINITY] = [...row].sort((a, b) => b - a);
  return best - second;
}

function shown(value: number): string {
  return value.toPrecision(2);
}
