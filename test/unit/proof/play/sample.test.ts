import { describe, expect, it } from 'vitest';
import { describeSampled, Moments, Sample } from '../../../../src/proof/play/sample.js';
import { describe as described } from '../../../../src/proof/statistics.js';
import { scatter } from '../synthetic-run.js';

describe('a sample', () => {
  it('is everything while there is room, then one of 2, of 4, …, in order', () => {
    const sample = new Sample<number>(1000);
    for (let item = 0; item < 1000; item += 1) sample.add(item);
    expect(sample.items).toHaveLength(1000);
    expect(sample.oneOf).toBe(1);
    for (let item = 1000; item < 100_000; item += 1) sample.add(item);
    expect(sample.oneOf).toBe(128);
    expect(sample.items.length).toBeGreaterThan(100_000 / 128 / 1.2);
    expect(sample.items.length).toBeLessThanOrEqual(1000);
    expect(sample.items).toEqual([...sample.items].sort((a, b) => a - b));
  });

  it('does not fall in step with a rhythm of the run', () => {
    const sample = new Sample<number>(2000);
    for (let item = 0; item < 64_000; item += 1) sample.add(item);
    const ofFirstUser = sample.items.filter((item) => item % 8 === 0).length;
    expect(ofFirstUser / sample.items.length).toBeGreaterThan(0.1);
    expect(ofFirstUser / sample.items.length).toBeLessThan(0.15);
  });
});

describe('moments', () => {
  it('are those of all values', () => {
    const values = Array.from({ length: 500 }, (_, index) => 20 + 7 * scatter(index));
    const moments = new Moments();
    for (const value of values) moments.add(value);
    const found = describeSampled(moments, values);
    const wanted = described(values);
    for (const key of ['count', 'mean', 'sd', 'min', 'p50', 'p99', 'max'] as const) {
      expect(found?.[key]).toBeCloseTo(wanted?.[key] ?? Number.NaN, 9);
    }
    expect([moments.first, moments.last]).toEqual([values[0], values.at(-1)]);
  });

  it('describe nothing as nothing', () => {
    expect(describeSampled(new Moments(), [])).toBeNull();
  });
});
