/**
 * How long an idle model stays open, and which one is evicted first. Pure: computed from the model's measurements.
 */

/** Facts about an open model. */
export interface ModelFigures {
  readonly model: string;
  /** Mean time between requests; undefined before the second. */
  readonly expectedGapMs: number | undefined;
  /** Time since its last request. */
  readonly idleMs: number;
  /** Measured time to restore it: to open it and, if it is hot, to shift it. */
  readonly reloadMs: number;
  /** Private bytes in all workers together. */
  readonly heldBytes: number;
}

/**
 * Price of memory in milliseconds of a caller's waiting: 1 MB for 50 s costs 1 ms while the line is free,
 * and more as it fills (divided by the free share). On an empty machine the bundled model (some MB, reloads in
 * some ms) stays for tens of seconds, a bert-base for a few.
 */
const WAIT_MS_PER_MB_SECOND = 0.02;
const LEAST_FREE_SHARE = 0.02;
const MB = 2 ** 20;

/** Longest stay without a request. */
export const LONGEST_STAY_MS = 120_000;
/** A model is not unloaded sooner after a request, as arrivals are uncertain. */
export const SHORTEST_STAY_MS = 250;
/** A request that is late by this many expected gaps is no longer expected. */
const LATE_FACTOR = 3;

/**
 * Idle time after which holding the model has cost as much as reloading it will.
 *
 * @param freeShare share of the load line that is free, 0 to 1.
 */
export function breakEvenMs(reloadMs: number, heldBytes: number, freeShare: number): number {
  const pricePerMs =
    (WAIT_MS_PER_MB_SECOND / 1000) * (heldBytes / MB) * (1 / Math.max(LEAST_FREE_SHARE, freeShare));
  return pricePerMs > 0 ? Math.min(LONGEST_STAY_MS, reloadMs / pricePerMs) : LONGEST_STAY_MS;
}

/**
 * Whether an idle model that nobody waits for should be unloaded now.
 *
 * 1. Under pressure: yes.
 * 2. Just used: no.
 * 3. Holding it has cost as much as a reload: yes. (Ski rental: at most twice the cost of knowing the future.)
 * 4. Its next request is not expected before that: yes.
 * 5. Its next request is long overdue: yes, the pattern has ended. The grace grows with the reload time, so
 *    a hot model outlives a pause that a cold one does not.
 */
export function shouldUnload(
  figures: ModelFigures,
  freeShare: number,
  underPressure: boolean,
): boolean {
  if (underPressure) return true; // 1
  if (figures.idleMs < SHORTEST_STAY_MS) return false; // 2
  const breakEven = breakEvenMs(figures.reloadMs, figures.heldBytes, freeShare);
  if (figures.idleMs >= breakEven) return true; // 3
  const gap = figures.expectedGapMs;
  if (gap === undefined) return false;
  if (gap > breakEven) return true; // 4
  return figures.idleMs > LATE_FACTOR * gap + Math.max(SHORTEST_STAY_MS, figures.reloadMs); // 5
}

/** Requests per second × reload time ÷ bytes held: the loss by evicting, for each byte won. */
export function evictionValue(figures: ModelFigures): number {
  const gapMs = Math.max(1, figures.expectedGapMs ?? LONGEST_STAY_MS, figures.idleMs);
  return ((1000 / gapMs) * figures.reloadMs) / Math.max(1, figures.heldBytes);
}

/** Idle models, the least valuable first. */
export function evictionOrder(idle: readonly ModelFigures[]): readonly ModelFigures[] {
  return [...idle].sort((a, b) => evictionValue(a) - evictionValue(b));
}
