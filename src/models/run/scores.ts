/** From logits to scores. Pure. */
import type { ScoreFunction } from '../intake/reading/scoring.js';

/** Scores of one input, by label index. */
export type Scores = readonly number[];

/** Rows of logits, one after the other. */
export type Logits = Float32Array | Float64Array;

/** Whether they are of a row that did not run, as its run was stopped: what a graph gives is finite, or refused. */
export function hasNotRun(logits: Logits | undefined): boolean {
  return logits !== undefined && Number.isNaN(logits[0]);
}

/** Below the least probability in single precision: its logarithm is finite, and its score is 0 in all digits. */
const LEAST_PROBABILITY = 1e-45;
/** The least part by which a probability in single precision is below 1, halved: its score is 1 in all digits. */
const LEAST_LEFT = 2 ** -25;

/**
 * Logits from what a graph that ends in a function gives: for softmax log p, which are the logits up to a constant, so
 * that softmax gives p again; for the logistic function log(p ÷ (1 − p)).
 */
export function logitsFrom(probabilities: Logits, endsIn: 'softmax' | 'sigmoid'): Logits {
  // Double precision: what is near 1 has no digits left in single precision.
  const logits = new Float64Array(probabilities.length);
  for (const [at, value] of probabilities.entries()) {
    const p = Math.max(value, LEAST_PROBABILITY);
    const left = endsIn === 'softmax' ? 1 : Math.max(1 - value, LEAST_LEFT);
    logits[at] = Math.log(p / left);
  }
  return logits;
}

/**
 * Scores from logits.
 *
 * @param logits rows of `labelCount`
 * @param functions the function of each row, or one for all of them
 */
export function scoresOf(
  logits: Logits,
  labelCount: number,
  functions: ScoreFunction | readonly ScoreFunction[],
): readonly Scores[] {
  const rows: Scores[] = [];
  for (let start = 0; start < logits.length; start += labelCount) {
    const row = logits.subarray(start, start + labelCount);
    const of = typeof functions === 'string' ? functions : functions[rows.length];
    rows.push(scoresOfRow(row, of ?? 'none'));
  }
  return rows;
}

function scoresOfRow(row: Logits, of: ScoreFunction): Scores {
  switch (of) {
    case 'softmax':
      return softmax(row);
    case 'sigmoid':
      return Array.from(row, logistic);
    case 'none':
      return Array.from(row, shortest);
  }
}

/** exp(x − max) ÷ Σ exp(x − max): the maximum is taken out so that nothing overflows. */
function softmax(row: Logits): Scores {
  let most = Number.NEGATIVE_INFINITY;
  for (const value of row) most = Math.max(most, value);
  const powers = Array.from(row, (value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => rounded(power / sum));
}

export function logistic(value: number): number {
  return rounded(1 / (1 + Math.exp(-value)));
}

/** Seven decimals: what single precision holds; more digits only make the messages longer. */
export function rounded(score: number): number {
  return Math.round(score * 1e7) / 1e7;
}

/** Nine significant digits give every single-precision number back; negative zero becomes zero. */
export function shortest(value: number): number {
  return Number(value.toPrecision(9)) + 0;
}
