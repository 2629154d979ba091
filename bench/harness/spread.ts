/** Samples as people read them. */
import { describe, median, quantile } from '../../src/proof/statistics.js';

/** `12.3 (10.1 … 15.0, n 20)`: median, least and most. */
export function spread(values: readonly number[], unit = '', digits = 2): string {
  const of = describe(values);
  if (of === null) return 'no samples';
  const [p50, min, max] = [of.p50, of.min, of.max].map((value) => value.toFixed(digits));
  return `${p50}${unit} (${min} … ${max}, n ${of.count})`;
}

/** `p50 12.3, p99 40.1, max 55.0 ms (n 2000)` */
export function latencies(ms: readonly number[]): string {
  const of = describe(ms);
  if (of === null) return 'no samples';
  const [p50, p95, p99, max] = [of.p50, of.p95, of.p99, of.max].map((value) => value.toFixed(1));
  return `p50 ${p50}, p95 ${p95}, p99 ${p99}, max ${max} ms (n ${of.count})`;
}

/** A large sample described, for the JSON; null without samples. */
export function summary(values: readonly number[]): Readonly<Record<string, number>> | null {
  const of = describe(values);
  if (of === null) return null;
  return Object.fromEntries(Object.entries(of).map(([name, value]) => [name, rounded(value, 3)]));
}

/** To so many decimals, for the JSON. */
export function rounded(value: number, decimals = 4): number {
  return Math.round(value * 10 ** decimals) / 10 ** decimals;
}

/** `0.4 to 0.9`: the least and the most of some figures, for a headline. */
export function range(values: readonly number[], digits = 1): string {
  const of = describe(values.filter((value) => Number.isFinite(value)));
  if (of === null) return 'not measured';
  const [least, most] = [of.min, of.max].map((value) => value.toFixed(digits));
  return least === most ? `${least}` : `${least} to ${most}`;
}

export { median, quantile };
