import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LatencyHistogram } from '../../../src/sessions/latency.js';

/** The plain way: nearest rank of the sorted times. */
function rank(times: readonly number[], percent: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? Number.NaN;
}

function histogramOf(times: readonly number[]): LatencyHistogram {
  const histogram = new LatencyHistogram();
  for (const ms of times) histogram.add(ms);
  return histogram;
}

describe('the times of a session', () => {
  test('have no percentiles before the first answer', () => {
    expect(new LatencyHistogram().percentiles).toBeUndefined();
  });

  test('are those of the sorted times to 5 %, for any times from 0.25 ms to 130 s', () => {
    const time = fc.double({ min: 0.25, max: 130_000, noNaN: true });
    fc.assert(
      fc.property(fc.array(time, { minLength: 1, maxLength: 300 }), (times) => {
        const { p50Ms, p99Ms } = histogramOf(times).percentiles ?? { p50Ms: 0, p99Ms: 0 };
        for (const [got, exact] of [
          [p50Ms, rank(times, 50)],
          [p99Ms, rank(times, 99)],
        ] as const) {
          expect(Math.abs(got / exact - 1)).toBeLessThan(0.05);
        }
      }),
    );
  });

  test('are so in the last bucket but one, too', () => {
    const { p50Ms } = histogramOf([121_000, 121_000, 130_000]).percentiles ?? { p50Ms: 0 };
    expect(Math.abs(p50Ms / 121_000 - 1)).toBeLessThan(0.05);
  });

  test('that are shorter or longer than the buckets are not lost', () => {
    expect(histogramOf([0, 0.001]).percentiles).toEqual({ p50Ms: 0.001, p99Ms: 0.001 });
    expect(histogramOf([600_000]).percentiles).toEqual({ p50Ms: 600_000, p99Ms: 600_000 });
  });

  test('tell one slow answer in a hundred from the others', () => {
    const times = [...Array.from({ length: 98 }, () => 10), 1000, 1000];
    const { p50Ms, p99Ms } = histogramOf(times).percentiles ?? { p50Ms: 0, p99Ms: 0 };
    expect(p50Ms).toBeGreaterThan(9);
    expect(p50Ms).toBeLessThan(11);
    expect(p99Ms).toBeGreaterThan(950);
  });
});
