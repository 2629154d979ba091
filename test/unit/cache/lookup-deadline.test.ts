import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LookupDeadline } from '../../../src/cache/lookup-deadline.js';

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

test('an unanswered lookup expires after its budget, an answered one does not', () => {
  const deadline = new LookupDeadline(BUDGET_MS, now);
  const [answered, unanswered] = [vi.fn(), vi.fn()];
  const wait = { deadlineMs: 0, expire: answered };
  deadline.start(wait);
  deadline.start({ deadlineMs: 0, expire: unanswered });
  vi.advanceTimersByTime(BUDGET_MS - 1);
  expect(unanswered).not.toHaveBeenCalled();
  deadline.cancel(wait);
  vi.advanceTimersByTime(3);
  expect(unanswered).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(1000);
  expect(unanswered).toHaveBeenCalledTimes(1);
  expect(answered).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(0);
});

test('every lookup has the whole budget, whenever it starts', () => {
  const deadline = new LookupDeadline(BUDGET_MS, now);
  const expired: number[] = [];
  const begun = performance.now();
  for (let n = 0; n < 5; n += 1) {
    const since = performance.now();
    deadline.start({ deadlineMs: 0, expire: () => expired.push(performance.now() - since) });
    vi.advanceTimersByTime(3);
  }
  vi.advanceTimersByTime(100);
  expect(expired).toHaveLength(5);
  for (const ms of expired) {
    expect(ms).toBeGreaterThanOrEqual(BUDGET_MS);
    expect(ms).toBeLessThanOrEqual(BUDGET_MS + 3);
  }
  expect(performance.now()).toBeGreaterThan(begun);
});

test('time during which this process was blocked hardly counts', () => {
  const deadline = new LookupDeadline(BUDGET_MS, now);
  const expire = vi.fn();
  deadline.start({ deadlineMs: 0, expire });
  // No timer fires meanwhile; the next one is the first to see how late it is.
  busyMs += 500;
  vi.advanceTimersToNextTimer();
  expect(expire).not.toHaveBeenCalled();
  // Of the stall a look and a half have counted: ten of sixteen milliseconds are certainly left.
  vi.advanceTimersByTime(10);
  expect(expire).not.toHaveBeenCalled();
  vi.advanceTimersByTime(10);
  expect(expire).toHaveBeenCalledTimes(1);
});

test('a reply that has arrived by the last tick is used', () => {
  const deadline = new LookupDeadline(BUDGET_MS, now);
  const expire = vi.fn();
  const wait = { deadlineMs: 0, expire };
  deadline.start(wait);
  // Its immediate stands before that of the last look: so does what is read in that turn.
  setTimeout(() => setImmediate(() => deadline.cancel(wait)), BUDGET_MS);
  vi.advanceTimersByTime(100);
  expect(expire).not.toHaveBeenCalled();
});
