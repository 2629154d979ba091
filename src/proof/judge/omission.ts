/** Response times corrected for coordinated omission. Pure. */

import type { LoadRun } from '../play/run.js';
import { describe, median } from '../statistics.js';
import type { OmissionFigures } from './figures.js';

/** Shorter intervals, as with cached answers, would add thousands of values for one stall. */
const LEAST_INTERVAL_MS = 1;

export function analyseOmission({ plan, requests }: LoadRun): OmissionFigures {
  const answered = requests.items.filter((row) => row.ok);
  const times = answered.map((row) => row.ms);
  if (plan.ratePerS !== null) {
    const fromSending = describe(answered.map((row) => row.ms - row.lateMs));
    return { expected_interval_ms: null, corrected: null, from_sending: fromSending };
  }
  if (times.length === 0) {
    return { expected_interval_ms: null, corrected: null, from_sending: null };
  }
  const interval = Math.max(LEAST_INTERVAL_MS, median(times));
  return {
    expected_interval_ms: interval,
    corrected: describe(withOmitted(times, interval)),
    from_sending: null,
  };
}

/**
 * Adds, for each time, the times of the requests that would have been sent while it was waited for: the time less
 * one interval, less two, …, while at least an interval is left (G. Tene's HdrHistogram,
 * `recordValueWithExpectedInterval`).
 */
export function withOmitted(times: readonly number[], intervalMs: number): readonly number[] {
  const all: number[] = [];
  for (const time of times) {
    all.push(time);
    for (let left = time - intervalMs; left >= intervalMs; left -= intervalMs) all.push(left);
  }
  return all;
}
