/** How close memory is to the load line. */
export type Pressure = 'normal' | 'elevated' | 'critical';

/** Share of a limit at which a level begins, and below which it ends. */
export const PRESSURE_BOUNDS = {
  elevated: { from: 0.85, until: 0.8 },
  critical: { from: 0.95, until: 0.9 },
} as const;

/**
 * Percentage of the last 10 s in which some task stalled on memory (the kernel's pressure stall
 * information, Documentation/accounting/psi.rst) that makes the level elevated.
 */
export const STALL_BOUNDS = { from: 40, until: 20 } as const;

/** Inputs of the level. */
export interface Strain {
  /** Memory that the kernel cannot drop ÷ load line. */
  readonly lineShare: number;
  /** The main process's JavaScript heap ÷ its limit. */
  readonly heapShare: number;
  /** PSI `some avg10` in percent; 0 if the kernel has none. */
  readonly stallPercent: number;
  /** Used memory is past the middle between the line and the total: the last resort is due. */
  readonly flooded: boolean;
}

/**
 * The level of pressure. A level ends lower than it begins (hysteresis), so that it does not flap.
 *
 * 1. The highest level whose beginning was reached, by the line or by the heap.
 * 2. Below that, a level stays until its end is passed.
 * 3. Stalls make the level elevated at most: they slow callers down, but nothing is about to be killed.
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

/** Actions against pressure, mildest first. The order is the policy. */
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

/** Actions that free memory once; the others last until the level falls. */
const ONE_TIME_ACTIONS: ReadonlySet<PressureAction> = new Set([
  'trim_cache',
  'unload_idle_models',
  'return_free_heap',
  'recycle_fattest_idle_worker',
]);

/** An action that freed less than {@link WORTH_BYTES} is not repeated before this. */
export const FRUITLESS_PAUSE_MS = 30_000;
/** An action that freed more is not repeated before this: a reading must show its effect first. */
export const FRUITFUL_PAUSE_MS = 2000;
/** Bytes that an action must free to count as fruitful. */
export const WORTH_BYTES = 1024 * 1024;

/** Outcome of an action when it was last taken. */
export interface Effect {
  readonly atMs: number;
  readonly freedBytes: number;
  /** The level at which it was taken. */
  readonly level: Pressure;
}

/** Inputs of the next action. */
export interface PressureState {
  readonly level: Pressure;
  readonly flooded: boolean;
  /** The last effect of each action that was taken. */
  readonly effects: ReadonlyMap<PressureAction, Effect>;
  /** Lasting actions in force (smaller batches, refusals). */
  readonly holding: ReadonlySet<PressureAction>;
  readonly nowMs: number;
}

/**
 * The next action to take, if any. Called again after each, with its effect measured.
 *
 * 1. Normal: none.
 * 2. The first in the order of {@link PRESSURE_ACTIONS} that is allowed:
 *    a. refusing sessions only when critical, refusing requests only when flooded;
 *    b. not one that is in force already;
 *    c. caches that were halved are cleared once the level is critical;
 *    d. not one that was tried lately: longer if it freed nothing.
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
  if (effect === undefined || !ONE_TIME_ACTIONS.has(action)) return true;
  const halved = action === 'trim_cache' && effect.level !== 'critical';
  if (halved && state.level === 'critical') return true; // c
  const pause = effect.freedBytes < WORTH_BYTES ? FRUITLESS_PAUSE_MS : FRUITFUL_PAUSE_MS; // d
  return state.nowMs - effect.atMs >= pause;
}

/** Lasting actions that end: refusals when no longer critical (or flooded), all when normal. */
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
