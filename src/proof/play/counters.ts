/** Reads the counters of `GET /metrics` (Prometheus text format 0.0.4) and what a run added to them. */

/** Value of each series, keyed as written: `name` or `name{label="value",…}`. */
export type Counters = ReadonlyMap<string, number>;

/** What the run added to one series. */
export interface CounterGrowth {
  /** The labels as written, without braces; empty when there are none. */
  readonly labels: string;
  readonly count: number;
}

/** A counter with labels has no series before its first increment, only this line. */
const DECLARED = /^# TYPE (plimsoll_\w+_total) (?:counter|gauge)/;
const SERIES = /^([A-Za-z_:][\w:]*(?:\{[^}]*\})?)\s+(\S+)/;

/**
 * Keeps only the server's own counters. A counter that is declared but has no series yet is 0 under its bare
 * name.
 */
export function parseCounters(text: string): Counters {
  const counters = new Map<string, number>();
  for (const line of text.split('\n')) {
    const declared = DECLARED.exec(line)?.[1];
    if (declared !== undefined) counters.set(declared, 0);
    const [, series, value] = SERIES.exec(line) ?? [];
    if (series === undefined || !/^plimsoll_\w+_total(\{|$)/.test(series)) continue;
    const read = Number(value);
    if (Number.isFinite(read)) counters.set(series, read);
  }
  return counters;
}

/**
 * Growth of all series of one counter between two readings.
 *
 * A counter that has become smaller was reset by a restart of the server: all of its new value counts.
 *
 * @returns null when the server has no such counter.
 */
export function growthOf(
  name: string,
  before: Counters | null,
  after: Counters | null,
): readonly CounterGrowth[] | null {
  if (before === null || after === null) return null;
  const growth: CounterGrowth[] = [];
  for (const [series, value] of after) {
    if (series !== name && !series.startsWith(`${name}{`)) continue;
    const earlier = before.get(series) ?? 0;
    growth.push({
      labels: series.slice(name.length + 1, -1),
      count: value >= earlier ? value - earlier : value,
    });
  }
  return growth.length === 0 ? null : growth;
}
