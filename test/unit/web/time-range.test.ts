import { describe, expect, test } from 'vitest';
import { DAY_SECONDS, latestRange, moved, zoomed } from '../../../web/chart/time-range.js';

const NOW = 1_000_000;

describe('the range of the chart', () => {
  test('ends now, and is filled by what is known', () => {
    expect(latestRange(300, 0, NOW)).toEqual({ from: NOW - 300, to: NOW });
    expect(latestRange(300, NOW - 100, NOW)).toEqual({ from: NOW - 100, to: NOW });
    expect(latestRange(300, NOW - 2, NOW)).toEqual({ from: NOW - 20, to: NOW });
  });

  test('is zoomed around its end while that is now, else around its middle', () => {
    expect(zoomed({ from: NOW - 100, to: NOW }, 0.5, NOW)).toEqual({ from: NOW - 50, to: NOW });
    const past = { from: NOW - 300, to: NOW - 100 };
    expect(zoomed(past, 0.5, NOW)).toEqual({ from: NOW - 250, to: NOW - 150 });
  });

  test('is neither too short to show anything nor longer than a day', () => {
    expect(zoomed({ from: NOW - 8, to: NOW }, 0.5, NOW)).toBeUndefined();
    const day = { from: NOW - DAY_SECONDS, to: NOW };
    expect(zoomed(day, 2, NOW)).toEqual(day);
  });

  test('moves by its length, not beyond now', () => {
    expect(moved({ from: NOW - 200, to: NOW - 100 }, -0.5, NOW)).toEqual({
      from: NOW - 250,
      to: NOW - 150,
    });
    expect(moved({ from: NOW - 120, to: NOW - 20 }, 0.5, NOW)).toEqual({
      from: NOW - 100,
      to: NOW,
    });
  });
});
