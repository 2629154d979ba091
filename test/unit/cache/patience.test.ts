import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Patience } from '../../../src/cache/patience.js';

const BUDGET_MS = 16;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

let busyMs = 0;

/** As the process sees it: time goes by while it is busy, too. */
function now(): number {
  return performance.now() + busyMs;
}

test('who is not answered gives up after the budget, and who is answered does not', () => {
  const patience = new Patience(BUDGET_MS, now);
  const [answered, unanswered] = [vi.fn(), vi.fn()];
  const wait = { untilMs: 0, giveUp: answered };
  patience.begin(wait);
  patience.begin({ untilMs: 0, giveUp: unanswered });
  vi.advanceTimersByTime(BUDGET_MS - 1);
  expect(unanswered).not.toHaveBeenCalled();
  patience.end(wait);
  vi.advanceTimersByTime(3);
  expect(unanswered).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(1000);
  expect(unanswered).toHaveBeenCalledTimes(1);
  expect(answered).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(0);
});

test('each has the whole budget, whenever it comes', () => {
  const patience = new Patience(BUDGET_MS, now);
  const gaveUp: number[] = [];
  const begun = performance.now();
  for (let n = 0; n < 5; n += 1) {
    const since = performance.now();
    patience.begin({ untilMs: 0, giveUp: () => gaveUp.push(performance.now() - since) });
    vi.advanceTimersByTime(3);
  }
  vi.advanceTimersByTime(100);
  expect(gaveUp).toHaveLength(5);
  for (const ms of gaveUp) {
    expect(ms).toBeGreaterThanOrEqual(BUDGET_MS);
    expect(ms).toBeLessThanOrEqual(BUDGET_MS + 3);
  }
  expect(performance.now()).toBeGreaterThan(begun);
});

test('time in which this process was busy hardly counts', () => {
  const patience = new Patience(BUDGET_MS, now);
  const giveUp = vi.fn();
  patience.begin({ untilMs: 0, giveUp });
  // No timer fires meanwhile; the next one is the first to see how late it is.
  busyMs += 500;
  vi.advanceTimersToNextTimer();
  expect(giveUp).not.toHaveBeenCalled();
  // Of the stall a look and a half have counted: ten of sixteen milliseconds are certainly left.
  vi.advanceTimersByTime(10);
  expect(giveUp).not.toHaveBeenCalled();
  vi.advanceTimersByTime(10);
  expect(giveUp).toHaveBeenCalledTimes(1);
});

test('an answer that has arrived by the last look is taken', () => {
  const patience = new Patience(BUDGET_MS, now);
  const giveUp = vi.fn();
  const wait = { untilMs: 0, giveUp };
  patience.begin(wait);
  // Its immediate stands before that of the last look: so does what is read in that turn.
  setTimeout(() => setImmediate(() => patience.end(wait)), BUDGET_MS);
  vi.advanceTimersByTime(100);
  expect(giveUp).not.toHaveBeenCalled();
});
