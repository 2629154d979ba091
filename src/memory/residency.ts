/**
 * How long an idle model stays, and which one goes first when room is needed. Pure: everything is
 * computed from what was measured of the model.
 */

/** What is known of one loaded model. */
export interface ModelFigures {
  readonly model: string;
  /** Expected time between two requests, from its own arrivals; undefined before the second. */
  readonly expectedGapMs: number | undefined;
  /** Time since its last request. */
  readonly idleMs: number;
  /** Measured time to get it back as it is: to open it again and, where it is hot, to shift it again. */
  readonly reloadMs: number;
  /** Private bytes that it holds, in all workers together. */
  readonly heldBytes: number;
}

/**
 * What holding memory costs, in milliseconds of a caller's waiting: 1 MB for 50 s is worth 1 ms
 * while all of the line is free, and more as it fills (divided by the free share). With the
 * bundled model (some MB, reload in some ms) this keeps it for tens of seconds on an empty
 * machine, and a bert-base for a few.
 */
const WAIT_MS_PER_MB_SECOND = 0.02;
const LEAST_FREE_SHARE = 0.02;
const MB = 2 ** 20;

/** No model stays longer than this without a request. */
export const LONGEST_STAY_MS = 120_000;
/** Arrivals are uncertain: a model that was just used is not unloaded before this. */
export const SHORTEST_STAY_MS = 250;
/** A request that is this many expected gaps late is not expected any more. */
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
 * 1. Under pressure: yes, at once.
 * 2. Just used: no.
 * 3. Held for longer than a reload costs: yes. (Whatever comes, this costs at most twice what
 *    knowing the future would have cost: the ski-rental bound.)
 * 4. Its next request is not expected before that point: yes, waiting for it would not pay.
 * 5. Its next request is long overdue: yes, the pattern has ended. What takes long to get back is waited
 *    for as long again: a hot model outlives a pause that a cold one does not.
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

/** Requests per second × time to reload ÷ bytes held: what is lost by evicting, per byte won. */
export function evictionValue(figures: ModelFigures): number {
  const gapMs = Math.max(1, figures.expectedGapMs ?? LONGEST_STAY_MS, figures.idleMs);
  return ((1000 / gapMs) * figures.reloadMs) / Math.max(1, figures.heldBytes);
}

/** Idle models, the least valuable first. */
export function evictionOrder(idle: readonly ModelFigures[]): readonly ModelFigures[] {
  return [...idle].sort((a, b) => evictionValue(a) - evictionValue(b));
}
