/**
 * When a model that stays busy moves to the hot gear. Pure: everything is computed from what was measured
 * of the model, and from its own arrivals.
 */

/** What is known of a model in one worker. */
export interface GearFigures {
  readonly worker: string;
  readonly model: string;
  readonly gear: 'cold' | 'hot';
  /** Batches that it has run in that worker since it was opened there. */
  readonly batches: number;
  /** Expected time between two requests, from its own arrivals; undefined before the second. */
  readonly expectedGapMs: number | undefined;
  /** Time since its last request. */
  readonly idleMs: number;
  /** What the hot gear was measured to cost and save; undefined where that was not measured. */
  readonly hot: HotFigures | undefined;
}

export interface HotFigures {
  /** Time that the worker needs for it, and does nothing else in. */
  readonly shiftMs: number;
  /** Time that every run takes less from then on. */
  readonly savedMsPerRun: number;
  /** Private bytes on top of what the cold gear holds, at the most, while it is opened. */
  readonly privateBytes: number;
  /** Bytes of its own layout of the weights, which it maps: page cache. */
  readonly prepackedBytes: number;
}

/** A request that is this many expected gaps late is not expected any more. */
const LATE_FACTOR = 3;
const SHORTEST_PATIENCE_MS = 250;

/**
 * Whether a model in a worker should move to the hot gear now.
 *
 * 1. It is hot, or nothing is known of the gear, or it saves nothing here: no.
 * 2. Its next request is long overdue: no, the work has ended.
 * 3. Its runs in the cold gear have cost less so far than the shift would: no. (Whatever comes, this takes
 *    at most twice what knowing the future would have taken: the ski-rental bound.)
 * 4. Otherwise yes.
 */
export function shouldShift(figures: GearFigures): boolean {
  const { gear, hot, expectedGapMs, idleMs } = figures;
  if (gear === 'hot' || hot === undefined || hot.savedMsPerRun <= 0) return false; // 1
  const gapMs = expectedGapMs ?? Number.POSITIVE_INFINITY;
  if (idleMs > LATE_FACTOR * gapMs + SHORTEST_PATIENCE_MS) return false; // 2
  return lostMs(figures) >= hot.shiftMs; // 3, 4
}

/** How the operator wants it: by its figures, never, or as soon as it is open. */
export type GearSetting = 'auto' | 'cold' | 'hot';

/** The measured figures as the setting wants them seen; `hot` costs nothing and saves something. */
export function asSet(
  setting: GearSetting,
  measured: HotFigures | undefined,
): HotFigures | undefined {
  if (measured === undefined || setting === 'cold') return undefined;
  if (setting === 'auto') return measured;
  return { ...measured, shiftMs: 0, savedMsPerRun: Math.max(1, measured.savedMsPerRun) };
}

/** A worker as the shift sees it. */
export interface StandIn {
  readonly id: string;
  readonly idle: boolean;
  readonly models: readonly string[];
}

/** Whether another worker can answer while this one shifts: it holds the model, or is free to open it. */
export function hasStandIn(worker: string, model: string, workers: readonly StandIn[]): boolean {
  return workers.some(({ id, idle, models }) => id !== worker && (idle || models.includes(model)));
}

/** The model whose cold runs have lost the most beyond what its shift costs; undefined if none should shift. */
export function nextShift(all: readonly GearFigures[]): GearFigures | undefined {
  const due = (figures: GearFigures) => lostMs(figures) - (figures.hot?.shiftMs ?? 0);
  return all.filter(shouldShift).sort((a, b) => due(b) - due(a))[0];
}

function lostMs({ batches, hot }: GearFigures): number {
  return batches * (hot?.savedMsPerRun ?? 0);
}
