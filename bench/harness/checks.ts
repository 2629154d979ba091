/** Figures against their bars. */

/** A figure that could not be measured, with the reason. */
export interface NotMeasured {
  readonly notMeasured: string;
}

export type Figure = number | NotMeasured;

/** One figure that has a bar. It is written into the results as it is. */
export interface Check {
  /** What the figure is, as a noun phrase: `p99 during recycles ÷ p99 outside`. */
  readonly check: string;
  /** null where it could not be measured. */
  readonly value: number | null;
  /** Such as `ms`, `MB` or `%`; empty for counts and ratios. */
  readonly unit: string;
  /** The bar, as a comparison: `<= 0.05`. */
  readonly bound: string;
  readonly ok: boolean;
  /** Why there is no figure. */
  readonly not_measured?: string;
}

export type CheckState = 'holds' | 'does not hold' | 'not measured';

/** Thrown where a figure cannot be had on this machine at this time; the message is the reason. */
export class NotMeasuredError extends Error {
  override readonly name = 'NotMeasuredError';
}

export function stateOf(check: Check): CheckState {
  if (check.not_measured !== undefined) return 'not measured';
  return check.ok ? 'holds' : 'does not hold';
}

/** Holds if the figure is at most `most`. */
export function atMost(check: string, figure: Figure, most: number, unit = ''): Check {
  return compare(check, figure, unit, `<= ${most}`, (value) => value <= most);
}

/** Holds if the figure is at least `least`. */
export function atLeast(check: string, figure: Figure, least: number, unit = ''): Check {
  return compare(check, figure, unit, `>= ${least}`, (value) => value >= least);
}

/** Holds if the figure is exactly `wanted`. */
export function exactly(check: string, figure: Figure, wanted: number, unit = ''): Check {
  return compare(check, figure, unit, `= ${wanted}`, (value) => value === wanted);
}

/**
 * What `measure` gives; its reason where it throws a {@link NotMeasuredError}, so that the benchmark
 * goes on with its other figures.
 */
export async function measuredOr<T>(measure: () => Promise<T>): Promise<T | NotMeasured> {
  try {
    return await measure();
  } catch (error) {
    if (error instanceof NotMeasuredError) return { notMeasured: error.message };
    throw error;
  }
}

export function isMeasured<T extends object | number>(value: T | NotMeasured): value is T {
  return typeof value !== 'object' || !('notMeasured' in value);
}

function compare(
  check: string,
  figure: Figure,
  unit: string,
  bound: string,
  holds: (value: number) => boolean,
): Check {
  const empty = { check, value: null, unit, bound, ok: false };
  if (typeof figure !== 'number') return { ...empty, not_measured: figure.notMeasured };
  // JSON has neither NaN nor Infinity: both would be written as a null that explains nothing.
  if (!Number.isFinite(figure)) return { ...empty, not_measured: 'there were too few samples' };
  return { check, value: figure, unit, bound, ok: holds(figure) };
}
