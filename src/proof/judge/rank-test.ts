/** Compares two samples of response times. */
import {
  type Interval,
  quantileOfSorted,
  thin,
  tieGroups,
  twoSidedP,
  Z_95,
} from '../statistics.js';

/** The normal approximation is fair from about 8 values in each sample (Mann and Whitney 1947, table I). */
export const MIN_SAMPLE = 8;

/** The median of differences needs every pair; larger samples are thinned to this many values each. */
const MAX_SAMPLE = 1_500;

export interface RankTest {
  /** Pairs in which the value of the first sample is larger, ties counting one half. */
  readonly u: number;
  readonly z: number;
  /** Two-sided. */
  readonly p: number;
  /** Hodges–Lehmann estimate of how much larger the first sample is, in its unit. */
  readonly shift: number;
  /** 95 % interval of the shift. */
  readonly interval: Interval;
}

/**
 * Mann–Whitney test with mid-ranks, the correction for ties and the continuity correction:
 * H. B. Mann and D. R. Whitney, "On a test of whether one of two random variables is stochastically
 * larger than the other", Annals of Mathematical Statistics 18 (1947). The shift is the median of all
 * pairwise differences: J. L. Hodges and E. L. Lehmann, "Estimates of location based on rank tests",
 * Annals of Mathematical Statistics 34 (1963).
 *
 * @returns null when either sample has fewer than {@link MIN_SAMPLE} values.
 */
export function mannWhitney(first: readonly number[], second: readonly number[]): RankTest | null {
  const n1 = first.length;
  const n2 = second.length;
  if (n1 < MIN_SAMPLE || n2 < MIN_SAMPLE) return null;
  const n = n1 + n2;
  const pooled = [
    ...first.map((value) => ({ value, inFirst: true })),
    ...second.map((value) => ({ value, inFirst: false })),
  ].sort((a, b) => a.value - b.value);

  let rankSum = 0;
  let ties = 0;
  let start = 0;
  for (const size of tieGroups(pooled.map((entry) => entry.value))) {
    const midRank = start + (size + 1) / 2;
    for (const entry of pooled.slice(start, start + size)) if (entry.inFirst) rankSum += midRank;
    ties += size ** 3 - size;
    start += size;
  }
  const { shift, interval } = shiftBetween(first, second);
  const u = rankSum - (n1 * (n1 + 1)) / 2;
  const deviation = u - (n1 * n2) / 2;
  const variance = ((n1 * n2) / 12) * (n + 1 - ties / (n * (n - 1)));
  const corrected = Math.sign(deviation) * Math.max(0, Math.abs(deviation) - 0.5);
  const z = variance <= 0 ? 0 : corrected / Math.sqrt(variance);
  return { u, z, p: twoSidedP(z), shift, interval };
}

/**
 * Hodges–Lehmann estimate of how much larger the first sample is, with the 95 % interval between the order
 * statistics of the pairwise differences (L. E. Moses; M. Hollander and D. A. Wolfe, "Nonparametric
 * Statistical Methods", 1973, 4.3). NaN of nothing.
 */
export function shiftBetween(
  first: readonly number[],
  second: readonly number[],
): { readonly shift: number; readonly interval: Interval } {
  const left = thin(first, MAX_SAMPLE);
  const right = thin(second, MAX_SAMPLE);
  const differences = new Float64Array(left.length * right.length);
  let index = 0;
  for (const a of left) {
    for (const b of right) {
      differences[index] = a - b;
      index += 1;
    }
  }
  differences.sort();
  const pairs = differences.length;
  const reach = Z_95 * Math.sqrt((pairs * (left.length + right.length + 1)) / 12);
  const low = Math.max(0, Math.floor(pairs / 2 - reach));
  return {
    shift: quantileOfSorted(differences, 0.5),
    interval: {
      low: differences[low] ?? Number.NaN,
      high: differences[pairs - 1 - low] ?? Number.NaN,
    },
  };
}
