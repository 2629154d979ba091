import { describe, expect, it } from 'vitest';
import { watchReadings } from '../../../src/memory/watchdog.js';

describe('the watch over the readings', () => {
  it.each([
    [0, 1000, 'fresh'],
    [4999, 1000, 'fresh'],
    [5000, 1000, 'late'],
    [19_999, 1000, 'late'],
    [20_000, 1000, 'stopped'],
    // A short interval does not make it jumpy on a busy machine.
    [4999, 50, 'fresh'],
    [5000, 50, 'late'],
    // A long one gives it time.
    [299_999, 60_000, 'fresh'],
    [300_000, 60_000, 'late'],
    [1_200_000, 60_000, 'stopped'],
  ] as const)('%i ms after the last one, at one in %i ms: %s', (ageMs, intervalMs, state) => {
    expect(watchReadings(ageMs, intervalMs).state).toBe(state);
  });

  it('says how old the last one is, and which setting says how often they come', () => {
    expect(watchReadings(7400, 1000)).toEqual({
      state: 'late',
      reason: 'memory was last read 7 s ago (memory.reading_interval_ms is 1000)',
    });
  });
});
