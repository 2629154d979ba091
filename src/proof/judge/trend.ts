/** Tests whether a series grows. Rank methods: memory readings have outliers and steps, not normal errors. */
import {
  type Interval,
  mean,
  median,
  midRanks,
  quantileOfSorted,
  thin,
  tieGroups,
  twoSidedP,
  Z_95,
} from '../statistics.js';

/** 1,500 points make about a million pairs. A longer series is thinned evenly. */
const MAX_POINTS = 1_500;

/** Upper limit: the bias correction must not reduce the series to one effective value. */
const MAX_CORRELATION = 0.95;

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface TheilSen {
  /** Median of the slopes of all pairs, in units of y for one unit of x. */
  readonly slope: number;
  /** 95 % interval of the slope. */
  readonly interval: Interval;
  /** median(y) − slope · median(x), after W. J. Conover, "Practical Nonparametric Statistics" (1980). */
  readonly intercept: number;
}

export interface MannKendall {
  /** Rising pairs less falling pairs. */
  readonly s: number;
  readonly variance: number;
  readonly z: number;
  /** Two-sided. */
  readonly p: number;
}

/**
 * Theil–Sen slope with its 95 % interval: P. K. Sen, "Estimates of the regression coefficient based on
 * Kendall's tau", JASA 63 (1968), variance of S with ties in both variables. The interval runs between
 * the order statistics at (N ∓ z·√Var S) / 2 of the N pairwise slopes.
 *
 * @param serial what {@link serialFactor} says of the series: the interval becomes √serial times as wide.
 * More extreme order statistics would not do: they are slopes between neighbours, which only show the noise.
 * @returns null when fewer than two different x are given.
 */
export function theilSen(series: readonly Point[], serial = 1): TheilSen | null {
  const points = thin(series, MAX_POINTS);
  const slopes: number[] = [];
  for (const [index, first] of points.entries()) {
    for (let other = index + 1; other < points.length; other += 1) {
      const second = points[other];
      if (second !== undefined && second.x !== first.x) {
        slopes.push((second.y - first.y) / (second.x - first.x));
      }
    }
  }
  if (slopes.length === 0) return null;
  const sorted = Float64Array.from(slopes).sort();
  const xs = points.map((point) => point.x);
  const ys = points.map((point) => point.y);
  const n = points.length;
  const variance = (n * (n - 1) * (2 * n + 5) - tieTerm(xs) - tieTerm(ys)) / 18;
  const reach = Z_95 * Math.sqrt(Math.max(0, variance));
  const low = Math.max(Math.round((slopes.length - reach) / 2) - 1, 0);
  const high = Math.min(Math.round((slopes.length + reach) / 2), slopes.length - 1);
  const slope = quantileOfSorted(sorted, 0.5);
  return {
    slope,
    interval: {
      low: slope - Math.sqrt(serial) * (slope - (sorted[low] ?? slope)),
      high: slope + Math.sqrt(serial) * ((sorted[high] ?? slope) - slope),
    },
    intercept: median(ys) - slope * median(xs),
  };
}

/**
 * Mann–Kendall test for a monotone trend, with the correction for ties and the continuity correction:
 * H. B. Mann, "Nonparametric tests against trend", Econometrica 13 (1945); M. G. Kendall, "Rank
 * Correlation Methods" (1975); R. O. Gilbert, "Statistical Methods for Environmental Pollution
 * Monitoring" (1987), 16.4.
 *
 * @param values in order of time. @param serial as for {@link theilSen}.
 * @returns null of fewer than three values.
 */
export function mannKendall(values: readonly number[], serial = 1): MannKendall | null {
  const series = thin(values, MAX_POINTS);
  const n = series.length;
  if (n < 3) return null;
  let s = 0;
  for (const [index, earlier] of series.entries()) {
    for (let other = index + 1; other < n; other += 1) {
      s += Math.sign((series[other] ?? earlier) - earlier);
    }
  }
  const variance = (serial * (n * (n - 1) * (2 * n + 5) - tieTerm(series))) / 18;
  const z = variance <= 0 ? 0 : (s - Math.sign(s)) / Math.sqrt(variance);
  return { s, variance, z, p: twoSidedP(z) };
}

/**
 * How much larger the variance of Kendall's S is than for independent values: memory readings that follow
 * each other are alike, which would make intervals too narrow and p too small. S. Yue and C. Y. Wang, "The
 * Mann–Kendall test modified by effective sample size to detect trend in serially correlated hydrological
 * series", Water Resources Management 18 (2004): 1 + 2 Σ (1 − k/n) ρ^k, where ρ is the lag-one
 * autocorrelation once the trend is taken out, here of the ranks (steps and outliers), and corrected for
 * its bias in short series (M. G. Kendall, "Note on bias in the estimation of autocorrelation", Biometrika
 * 41, 1954). 1 unless ρ is significantly above 0: swinging to and fro gains no certainty.
 */
export function serialFactor(series: readonly Point[]): number {
  const points = thin(series, MAX_POINTS);
  const n = points.length;
  const slope = theilSen(points)?.slope;
  if (slope === undefined || n <= 4) return 1;
  const ranks = midRanks(points.map(({ x, y }) => y - slope * x));
  const centre = mean(ranks);
  let products = 0;
  let squares = 0;
  let earlier = 0;
  for (const rank of ranks) {
    products += (rank - centre) * earlier;
    earlier = rank - centre;
    squares += earlier ** 2;
  }
  const found = squares === 0 ? 0 : products / squares;
  if (found <= Z_95 / Math.sqrt(n)) return 1;
  const correlation = Math.min(MAX_CORRELATION, (n * found + 1) / (n - 4));
  let sum = 0;
  for (let lag = 1; lag < n; lag += 1) sum += (1 - lag / n) * correlation ** lag;
  return 1 + 2 * sum;
}

/** Σ t(t − 1)(2t + 5) over the groups of t equal values. */
function tieTerm(values: readonly number[]): number {
  let term = 0;
  for (const size of tieGroups(Float64Array.from(values).sort())) {
    term += size * (size - 1) * (2 * size + 5);
  }
  return term;
}
