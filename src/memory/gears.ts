/**
 * When a busy model moves to the hot gear. Pure: computed from the model's measurements and arrivals.
 */

/** Facts about a model in one worker. */
export interface GearFigures {
  readonly worker: string;
  readonly model: string;
  readonly gear: 'cold' | 'hot';
  /** Batches it has run in that worker since it was opened there. */
  readonly batches: number;
  /** Mean time between requests; undefined before the second. */
  readonly expectedGapMs: number | undefined;
  /** Time since its last request. */
  readonly idleMs: number;
  /** Measured costs and savings of the hot gear; undefined if not measured. */
  readonly hot: HotFigures | undefined;
}

export interface HotFigures {
  /** Time of the shift, in which the worker does nothing else. */
  readonly shiftMs: number;
  /** Time saved on every later run. */
  readonly savedMsPerRun: number;
  /** Peak private bytes on top of the cold gear's, while it is opened. */
  readonly privateBytes: number;
  /** Bytes of the prepacked weights, which are mapped: page cache. */
  readonly prepackedBytes: number;
}

/** A request that is late by this many expected gaps is no longer expected. */
const LATE_FACTOR = 3;
const LEAST_GRACE_MS = 250;

/**
 * Whether a model in a worker should move to the hot gear now.
 *
 * 1. No, if it is hot, was not measured, or saves nothing here.
 * 2. No, if its next request is long overdue: the work has ended.
 * 3. No, while its cold runs have lost less than the shift costs. (Ski rental: at most twice the cost of
 *    knowing the future.)
 * 4. Otherwise yes.
 */
export function shouldShift(figures: GearFigures): boolean {
  const { gear, hot, expectedGapMs, idleMs } = figures;
  if (gear === 'hot' || hot === undefined || hot.savedMsPerRun <= 0) return false; // 1
  const gapMs = expectedGapMs ?? Number.POSITIVE_INFINITY;
  if (idleMs > LATE_FACTOR * gapMs + LEAST_GRACE_MS) return false; // 2
  return lostMs(figures) >= hot.shiftMs; // 3, 4
}

/** The operator's choice: by measurement, never, or as soon as the model is open. */
export type GearSetting = 'auto' | 'cold' | 'hot';

/** The figures under the operator's setting; `hot` pretends that a shift is free. */
export function asSet(
  setting: GearSetting,
  measured: HotFigures | undefined,
): HotFigures | undefined {
  if (measured === undefined || setting === 'cold') return undefined;
  if (setting === 'auto') return measured;
  return { ...measured, shiftMs: 0, savedMsPerRun: Math.max(1, measured.savedMsPerRun) };
}

/** A worker that may serve while another one shifts. */
export interface StandIn {
  readonly id: string;
  readonly idle: boolean;
  readonly models: readonly string[];
}

/** Whether another worker can serve while this one shifts: it has the model open, or is idle and can open it. */
export function hasStandIn(worker: string, model: string, workers: readonly StandIn[]): boolean {
  return workers.some(({ id, idle, models }) => id !== worker && (idle || models.includes(model)));
}

/** The model whose cold runs have lost the most beyond the cost of its shift; undefined if none should shift. */
export function nextShift(all: readonly GearFigures[]): GearFigures | undefined {
  const due = (figures: GearFigures) => lostMs(figures) - (figures.hot?.shiftMs ?? 0);
  return all.filter(shouldShift).sort((a, b) => due(b) - due(a))[0];
}

function lostMs({ batches, hot }: GearFigures): number {
  return batches * (hot?.savedMsPerRun ?? 0);
}
