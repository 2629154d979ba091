/** What response times would have been if waiting had kept no request from being sent. Pure. */

import type { LoadRun } from '../play/run.js';
import { describe, median } from '../statistics.js';
import type { OmissionFigures } from './figures.js';

/** Shorter intervals, as a cache gives them, would add thousands of values for one stall. */
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
 * With each time the ones of those who would have been sent while it was waited for: it less one interval,
 * less two, … as long as at least an interval is left (G. Tene's HdrHistogram, `recordValueWithExpectedInterval`).
 */
export function withOmitted(times: readonly number[], intervalMs: number): readonly number[] {
  const all: number[] = [];
  for (const time of times) {
    all.push(time);
    for (let left = time - intervalMs; left >= intervalMs; left -= intervalMs) all.push(left);
  }
  return all;
}
