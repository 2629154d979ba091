/** How close memory is to the load line. */
export type Pressure = 'normal' | 'elevated' | 'critical';

/** Shares of a limit at which a level begins, and below which it ends again. */
export const PRESSURE_BOUNDS = {
  elevated: { from: 0.85, until: 0.8 },
  critical: { from: 0.95, until: 0.9 },
} as const;

/**
 * Share of time, in percent over 10 s, in which some task waited for memory (the kernel's pressure
 * stall information, Documentation/accounting/psi.rst) from which the level is at least elevated.
 */
export const STALL_BOUNDS = { from: 40, until: 20 } as const;

/** What the level is decided from. */
export interface Strain {
  /** Memory that the kernel cannot simply drop ÷ load line. */
  readonly lineShare: number;
  /** The main process's JavaScript heap ÷ its limit. */
  readonly heapShare: number;
  /** PSI `some avg10` in percent; 0 where the kernel has none. */
  readonly stallPercent: number;
  /**
   * Used memory is more than halfway from the line to the end of all there is: the last
   * resort is due.
   */
  readonly flooded: boolean;
}

/**
 * The level of pressure. A level ends lower than it begins, so that a reading that wavers at a
 * bound does not make the level flap.
 *
 * 1. At or over a level's beginning, by the line or by the heap: that level, the highest first.
 * 2. Below it, but not yet below the end of the level that holds now: it stays.
 * 3. Stalls make it elevated, never more: they slow callers down, but nothing is about to be killed.
 * 4. Otherwise normal.
 */
export function pressureOf(previous: Pressure, strain: Strain): Pressure {
  const share = Math.max(strain.lineShare, strain.heapShare);
  const { elevated, critical } = PRESSURE_BOUNDS;
  if (share >= critical.from) return 'critical'; // 1
  if (previous === 'critical' && share >= critical.until) return 'critical'; // 2
  if (share >= elevated.from) return 'elevated'; // 1
  if (previous !== 'normal' && share >= elevated.until) return 'elevated'; // 2
  if (strain.stallPercent >= STALL_BOUNDS.from) return 'elevated'; // 3
  if (previous !== 'normal' && strain.stallPercent >= STALL_BOUNDS.until) return 'elevated'; // 2, 3
  return 'normal'; // 4
}

/** What can be done about pressure, mildest first. The order is the policy. */
export const PRESSURE_ACTIONS = [
  'trim_cache',
  'unload_idle_models',
  'return_free_heap',
  'recycle_fattest_idle_worker',
  'smaller_batches',
  'refuse_sessions',
  'refuse_requests',
] as const;

export type PressureAction = (typeof PRESSURE_ACTIONS)[number];

/** Actions that give memory back once; the others hold until the level falls. */
const MEASURES: ReadonlySet<PressureAction> = new Set([
  'trim_cache',
  'unload_idle_models',
  'return_free_heap',
  'recycle_fattest_idle_worker',
]);

/** An action is not tried again before this time if it freed less than {@link WORTH_BYTES}. */
export const FRUITLESS_PAUSE_MS = 30_000;
/** … and not before this time if it did free something: the next reading must show it first. */
export const FRUITFUL_PAUSE_MS = 2000;
/** What an action must free to count as fruitful. */
export const WORTH_BYTES = 1024 * 1024;

/** What an action did when it was last taken. */
export interface Effect {
  readonly atMs: number;
  readonly freedBytes: number;
  /** The level at which it was taken. */
  readonly level: Pressure;
}

/** What the next action is decided from. */
export interface PressureState {
  readonly level: Pressure;
  readonly flooded: boolean;
  /** The last effect of each action that was taken. */
  readonly effects: ReadonlyMap<PressureAction, Effect>;
  /** Actions that hold now (smaller batches, refusals). */
  readonly holding: ReadonlySet<PressureAction>;
  readonly nowMs: number;
}

/**
 * The next action to take, if any. Asked again after each, with the effect measured.
 *
 * 1. Normal: nothing.
 * 2. In the written order, the first that may be taken:
 *    a. refusals only while critical, and requests of running sessions only when flooded;
 *    b. one that holds already is passed over;
 *    c. caches that were halved are cleared as soon as the level is critical;
 *    d. one that freed nothing lately is passed over, one that did is given time to show.
 */
export function nextAction(state: PressureState): PressureAction | undefined {
  if (state.level === 'normal') return undefined; // 1
  return PRESSURE_ACTIONS.find((action) => mayTake(action, state)); // 2
}

function mayTake(action: PressureAction, state: PressureState): boolean {
  if (action === 'refuse_sessions' && state.level !== 'critical') return false; // a
  if (action === 'refuse_requests' && !state.flooded) return false; // a
  if (state.holding.has(action)) return false; // b
  const effect = state.effects.get(action);
  if (effect === undefined || !MEASURES.has(action)) return true;
  const halved = action === 'trim_cache' && effect.level !== 'critical';
  if (halved && state.level === 'critical') return true; // c
  const pause = effect.freedBytes < WORTH_BYTES ? FRUITLESS_PAUSE_MS : FRUITFUL_PAUSE_MS; // d
  return state.nowMs - effect.atMs >= pause;
}

/** Which holding actions end: refusals when no longer critical (or flooded), all when normal. */
export function releasedActions(
  level: Pressure,
  flooded: boolean,
  holding: ReadonlySet<PressureAction>,
): readonly PressureAction[] {
  return [...holding].filter((action) => {
    if (level === 'normal') return true;
    if (action === 'refuse_requests') return !flooded;
    return action === 'refuse_sessions' && level !== 'critical';
  });
}
