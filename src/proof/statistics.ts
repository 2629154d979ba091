/**
 * The arithmetic of the report: descriptions of a sample and the interval of a share.
 * Trends are in `trend.ts`, the comparison of two samples in `rank-test.ts`. All pure.
 */

/** Two-sided 95 % point of the standard normal distribution. */
export const Z_95 = 1.959963984540054;

/** 80 % quantile of the standard normal distribution: the customary power of a test. */
export const Z_80 = 0.8416212335729143;

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** A sample described. Everything is in the unit of the sample; `count` is its size. */
export interface Description {
  readonly count: number;
  readonly mean: number;
  readonly sd: number;
  readonly min: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** Arithmetic mean; NaN of nothing. */
export function mean(values: readonly number[]): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

/** Sample standard deviation (divided by n − 1); 0 of a single value, NaN of nothing. */
export function standardDeviation(values: readonly number[]): number {
  if (values.length === 1) return 0;
  const centre = mean(values);
  let squares = 0;
  for (const value of values) squares += (value - centre) ** 2;
  return Math.sqrt(squares / (values.length - 1));
}

/**
 * Sample quantile by linear interpolation between order statistics at h = (n − 1)·p: type 7 of
 * R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", The American Statistician 50
 * (1996), the default of R and NumPy. NaN of nothing.
 *
 * @param sorted ascending. @param p from 0 to 1.
 */
export function quantileOfSorted(sorted: ArrayLike<number>, p: number): number {
  const position = (sorted.length - 1) * p;
  const below = Math.floor(position);
  const low = sorted[below] ?? Number.NaN;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] ?? Number.NaN;
  return low + (high - low) * (position - below);
}

/** {@link quantileOfSorted} of values in any order. */
export function quantile(values: readonly number[], p: number): number {
  return quantileOfSorted(Float64Array.from(values).sort(), p);
}

/** The middle value: the 0.5 quantile. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Describes a sample, or null when it is empty: there is nothing to say about nothing. */
export function describe(values: readonly number[]): Description | null {
  if (values.length === 0) return null;
  const sorted = Float64Array.from(values).sort();
  return {
    count: values.length,
    mean: mean(values),
    sd: standardDeviation(values),
    min: quantileOfSorted(sorted, 0),
    p50: quantileOfSorted(sorted, 0.5),
    p95: quantileOfSorted(sorted, 0.95),
    p99: quantileOfSorted(sorted, 0.99),
    max: quantileOfSorted(sorted, 1),
  };
}

/**
 * 95 % score interval of a share, without continuity correction: E. B. Wilson, "Probable inference,
 * the law of succession, and statistical inference", JASA 22 (1927). It stays within 0 and 1 and says
 * something sensible when all or none succeeded, where the textbook interval has no width.
 *
 * @returns null when `total` is 0.
 */
export function wilson(successes: number, total: number): Interval | null {
  if (total <= 0) return null;
  const share = successes / total;
  const squared = Z_95 ** 2;
  const centre = (successes + squared / 2) / (total + squared);
  const half = (Z_95 / (total + squared)) * Math.sqrt(total * share * (1 - share) + squared / 4);
  return {
    low: successes === 0 ? 0 : centre - half,
    high: successes === total ? 1 : centre + half,
  };
}

/**
 * Two-sided p-value of a standard normal statistic: erfc(|z| / √2), from the series 7.1.6 and, in the
 * tail, the continued fraction 7.1.14 of M. Abramowitz and I. A. Stegun, "Handbook of Mathematical
 * Functions" (1964). Exact to about 1e-13 for |z| below 8.
 */
export function twoSidedP(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  if (x < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; term > sum * 1e-17; n += 1) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let fraction = x;
  for (let n = 120; n >= 1; n -= 1) fraction = x + n / 2 / fraction;
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction);
}

/** Ranks from 1 in the order given; equal values share the mean of their ranks. */
export function midRanks(values: readonly number[]): readonly number[] {
  const order = values.map((value, index) => ({ value, index })).sort((a, b) => a.value - b.value);
  const ranks = Array<number>(values.length).fill(0);
  let start = 0;
  for (const size of tieGroups(order.map(({ value }) => value))) {
    for (const { index } of order.slice(start, start + size)) ranks[index] = start + (size + 1) / 2;
    start += size;
  }
  return ranks;
}

/** Sizes of the groups of equal values (a value that stands alone counts as a group of 1). */
export function tieGroups(sorted: ArrayLike<number>): readonly number[] {
  const groups: number[] = [];
  let size = 0;
  for (let index = 0; index < sorted.length; index += 1) {
    size += 1;
    if (sorted[index] !== sorted[index + 1]) {
      groups.push(size);
      size = 0;
    }
  }
  return groups;
}

/** At most `limit` values, taken at even distances: keeps quadratic methods affordable. */
export function thin<T>(values: readonly T[], limit: number): readonly T[] {
  if (values.length <= limit) return values;
  const kept: T[] = [];
  for (let index = 0; index < limit; index += 1) {
    const value = values[Math.floor((index * (values.length - 1)) / (limit - 1))];
    if (value !== undefined) kept.push(value);
  }
  return kept;
}
