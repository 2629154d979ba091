/**
 * Judges the age of the last regular reading. Without readings the server decides about memory blindly, so a
 * memory manager that stands still must be seen from outside.
 */
export type Watch =
  | { readonly state: 'fresh' }
  /** `late`: readings are missing; `stopped`: so many that the server should not be relied on. */
  | { readonly state: 'late' | 'stopped'; readonly reason: string };

/** Readings are missing after so many intervals, and after so much time: a busy machine may delay one. */
const LATE = { intervals: 5, leastMs: 5000 };
const STOPPED = { intervals: 20, leastMs: 20_000 };

/** @param ageMs time since the last regular reading. */
export function watchReadings(ageMs: number, intervalMs: number): Watch {
  const reason = `memory was last read ${Math.round(ageMs / 1000)} s ago (memory.reading_interval_ms is ${intervalMs})`;
  if (ageMs >= boundMs(STOPPED, intervalMs)) return { state: 'stopped', reason };
  if (ageMs >= boundMs(LATE, intervalMs)) return { state: 'late', reason };
  return { state: 'fresh' };
}

function boundMs({ intervals, leastMs }: typeof LATE, intervalMs: number): number {
  return Math.max(leastMs, intervals * intervalMs);
}
