import { expect, describe as group, it } from 'vitest';
import { mannWhitney } from '../../../src/proof/judge/rank-test.js';
import { mannKendall, serialFactor, theilSen } from '../../../src/proof/judge/trend.js';
import {
  describe,
  mean,
  quantile,
  standardDeviation,
  thin,
  tieGroups,
  twoSidedP,
  wilson,
} from '../../../src/proof/statistics.js';
import { scatter } from './synthetic-run.js';

// Expected values marked "scipy" were computed with scipy 1.17.1 and numpy 2.4.6, those marked
// "pymannkendall" with pymannkendall 1.4.3, from the same numbers.

group('descriptions of a sample', () => {
  it('takes quantiles by linear interpolation, as numpy.quantile does', () => {
    const values = [40, 15, 50, 20, 35];
    const expected = [16, 23, 29, 35, 48, 50];
    expect([0.05, 0.3, 0.4, 0.5, 0.95, 1].map((p) => quantile(values, p))).toEqual(
      expected.map((value) => expect.closeTo(value, 12)),
    );
  });

  it('has the mean and the standard deviation of n − 1 (numpy.std, ddof 1)', () => {
    const values = [2, 4, 4, 4, 5, 5, 7, 9];
    expect(mean(values)).toBe(5);
    expect(standardDeviation(values)).toBeCloseTo(2.138089935299395, 12);
    expect(standardDeviation([3])).toBe(0);
  });

  it('describes one value, and nothing as null', () => {
    expect(describe([7])).toEqual({
      count: 1,
      mean: 7,
      sd: 0,
      min: 7,
      p50: 7,
      p95: 7,
      p99: 7,
      max: 7,
    });
    expect(describe([])).toBeNull();
  });

  it('sorts numbers as numbers', () => {
    expect(quantile([10, 9, 100, 1], 1)).toBe(100);
  });

  it('thins evenly and keeps both ends', () => {
    expect(thin([0, 1, 2, 3, 4, 5, 6, 7, 8], 3)).toEqual([0, 4, 8]);
    expect(thin([1, 2], 3)).toEqual([1, 2]);
  });

  it('groups ties', () => {
    expect(tieGroups([1, 1, 2, 3, 3, 3])).toEqual([2, 1, 3]);
    expect(tieGroups([])).toEqual([]);
  });
});

group('normal p-values', () => {
  it.each([
    // 2 · scipy.stats.norm.sf(z)
    [0, 1],
    [0.5, 0.6170750774519738],
    [1.959963984540054, 0.05],
    [-3, 0.0026997960632601866],
    [3.5, 0.00046525815807105003],
    [5, 5.733031437583866e-7],
    [7.5, 6.381783345821769e-14],
  ])('of z = %d', (z, p) => {
    expect(Math.abs(twoSidedP(z) / p - 1)).toBeLessThan(1e-9);
  });
});

group('Wilson interval', () => {
  it.each([
    // R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in
    // Medicine 17 (1998), table I, method 3.
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])('of %d in %d', (successes, total, low, high) => {
    const interval = wilson(successes, total);
    expect(interval?.low).toBeCloseTo(low, 4);
    expect(interval?.high).toBeCloseTo(high, 4);
  });

  it('stays within 0 and 1, and says nothing about nothing', () => {
    expect(wilson(40, 40)?.high).toBe(1);
    expect(wilson(0, 0)).toBeNull();
  });
});

group('Theil–Sen slope', () => {
  it('has slope, interval and intercept over uneven times (scipy.stats.theilslopes)', () => {
    const x = [1, 2, 3, 4, 10, 12, 18];
    const y = [9, 15, 19, 20, 45, 55, 78];
    const trend = theilSen(x.map((at, index) => ({ x: at, y: y[index] ?? 0 })));
    expect(trend?.slope).toBeCloseTo(4, 12);
    expect(trend?.intercept).toBeCloseTo(4, 12);
    expect(trend?.interval.low).toBeCloseTo(3.7142857142857144, 12);
    expect(trend?.interval.high).toBeCloseTo(4.375, 12);
  });

  it('corrects the interval for ties (scipy)', () => {
    const trend = theilSen(TIED.map((y, index) => ({ x: index + 1, y })));
    expect(trend?.slope).toBeCloseTo(0.5, 12);
    expect(trend?.interval.low).toBeCloseTo(0.21428571428571427, 12);
    expect(trend?.interval.high).toBeCloseTo(0.7857142857142857, 12);
  });

  it('is not moved by one outlier', () => {
    const points = Array.from({ length: 21 }, (_, x) => ({ x, y: x === 10 ? 1e6 : 2 * x }));
    expect(theilSen(points)?.slope).toBeCloseTo(2, 12);
  });

  it('is null where there is no slope', () => {
    expect(theilSen([])).toBeNull();
    expect(theilSen([{ x: 1, y: 2 }])).toBeNull();
    expect(
      theilSen([
        { x: 1, y: 2 },
        { x: 1, y: 3 },
      ]),
    ).toBeNull();
  });

  it('takes many points in bounded time', () => {
    const points = Array.from({ length: 20_000 }, (_, x) => ({ x, y: 3 * x }));
    expect(theilSen(points)?.slope).toBeCloseTo(3, 9);
  });
});

group('Correction for alike neighbours', () => {
  const line = (y: (x: number) => number, n = 40) =>
    Array.from({ length: n }, (_, x) => ({ x, y: y(x) }));

  it('leaves a straight line and unconnected values as they are', () => {
    expect(serialFactor(line((x) => 7 * x))).toBe(1);
    expect(serialFactor(line((x) => (x % 2 ? 1 : -1)))).toBe(1);
    expect(serialFactor([])).toBe(1);
  });

  it('widens the interval where values come in runs', () => {
    const runs = line((x) => (Math.floor(x / 5) % 2) + scatter(x) / 5);
    const serial = serialFactor(runs);
    expect(serial).toBeGreaterThan(1.5);
    const plain = theilSen(runs);
    const wide = theilSen(runs, serial);
    expect(wide?.slope).toBe(plain?.slope);
    expect(wide?.interval.high).toBeGreaterThan(plain?.interval.high ?? 0);
    const ys = runs.map(({ y }) => y);
    expect(mannKendall(ys, serial)?.p).toBeGreaterThan(mannKendall(ys)?.p ?? 1);
  });

  it('claims no trend more often than it may: walks that forget, without a trend', () => {
    let falseClaims = 0;
    for (let walk = 0; walk < 60; walk += 1) {
      let at = 0;
      let state = 7_919 * (walk + 1);
      const series = line(() => {
        // Park and Miller's generator (CACM 31, 1988).
        state = (state * 48_271) % 2_147_483_647;
        at = 0.6 * at + state / 2_147_483_647 - 0.5;
        return at;
      }, 60);
      const ys = series.map(({ y }) => y);
      if ((mannKendall(ys, serialFactor(series))?.p ?? 1) < 0.01) falseClaims += 1;
    }
    expect(falseClaims).toBeLessThanOrEqual(3);
  });
});

const TIED = [724, 726.5, 722, 723.5, 725, 725, 727.5, 726, 728, 727.5, 729, 728];

group('Mann–Kendall test', () => {
  it('has S, variance with ties, z and p (pymannkendall)', () => {
    const test = mannKendall(TIED);
    expect(test?.s).toBe(43);
    expect(test?.variance).toBeCloseTo(209.66666666666666, 10);
    expect(test?.z).toBeCloseTo(2.9005783097516247, 10);
    expect(test?.p).toBeCloseTo(0.0037247475560906462, 10);
  });

  it('finds a fall (pymannkendall)', () => {
    const test = mannKendall([10, 8, 9, 7, 6, 6, 5, 3, 4, 1]);
    expect(test?.s).toBe(-40);
    expect(test?.variance).toBe(124);
    expect(test?.p).toBeCloseTo(0.0004612540671704579, 10);
  });

  it('finds nothing where nothing changes, and nothing in two values', () => {
    expect(mannKendall([5, 5, 5, 5, 5])).toMatchObject({ s: 0, p: 1 });
    expect(mannKendall([1, 2])).toBeNull();
  });
});

group('Mann–Whitney test', () => {
  const first = [12.1, 14.3, 11.8, 15.2, 13.3, 14.3, 12.9, 16.0, 13.3];
  const second = [11.0, 12.1, 10.7, 13.3, 11.9, 12.5, 11.8, 10.2, 12.1, 11.1];

  it('has U and p with ties (scipy.stats.mannwhitneyu, asymptotic), and the median of differences (numpy)', () => {
    const test = mannWhitney(first, second);
    expect(test?.u).toBe(79.5);
    expect(test?.p).toBeCloseTo(0.005297810919359657, 12);
    expect(test?.shift).toBeCloseTo(2.05, 12);
  });

  it('is the same the other way round, with the sign turned', () => {
    const test = mannWhitney(second, first);
    expect(test?.u).toBe(10.5);
    expect(test?.p).toBeCloseTo(0.005297810919359657, 12);
    expect(test?.shift).toBeCloseTo(-2.05, 12);
  });

  it('finds no difference between equal samples, and says nothing of small ones', () => {
    expect(mannWhitney(Array(9).fill(4), Array(9).fill(4))).toMatchObject({ p: 1, shift: 0 });
    expect(mannWhitney([1, 2, 3], second)).toBeNull();
  });
});
