import { describe, expect, it } from 'vitest';
import {
  type Effect,
  FRUITFUL_PAUSE_MS,
  FRUITLESS_PAUSE_MS,
  nextAction,
  PRESSURE_ACTIONS,
  type Pressure,
  type PressureAction,
  type PressureState,
  pressureOf,
  releasedActions,
  type Strain,
  WORTH_BYTES,
} from '../../../src/memory/policy.js';

const CALM: Strain = { lineShare: 0.2, heapShare: 0.1, stallPercent: 0, flooded: false };

describe('the level of pressure', () => {
  const table: readonly (readonly [string, Pressure, Partial<Strain>, Pressure])[] = [
    ['far below the line', 'normal', {}, 'normal'],
    ['just below elevated', 'normal', { lineShare: 0.849 }, 'normal'],
    ['at elevated', 'normal', { lineShare: 0.85 }, 'elevated'],
    ['at critical, from normal', 'normal', { lineShare: 0.95 }, 'critical'],
    ['over the line', 'elevated', { lineShare: 1.2 }, 'critical'],
    ['critical holds down to its end', 'critical', { lineShare: 0.9 }, 'critical'],
    ['critical ends into elevated', 'critical', { lineShare: 0.899 }, 'elevated'],
    ['elevated holds down to its end', 'elevated', { lineShare: 0.8 }, 'elevated'],
    ['elevated ends', 'elevated', { lineShare: 0.799 }, 'normal'],
    ['critical ends far below', 'critical', { lineShare: 0.3 }, 'normal'],
    ['the main heap counts as well', 'normal', { heapShare: 0.86 }, 'elevated'],
    ['a full main heap is critical', 'normal', { heapShare: 0.96 }, 'critical'],
    ['stalls make it elevated', 'normal', { stallPercent: 40 }, 'elevated'],
    ['stalls never make it critical', 'elevated', { stallPercent: 100 }, 'elevated'],
    ['stalls hold it down to their end', 'elevated', { stallPercent: 20 }, 'elevated'],
    ['stalls end', 'elevated', { stallPercent: 19 }, 'normal'],
    ['few stalls do not begin it', 'normal', { stallPercent: 30 }, 'normal'],
  ];
  it.each(table)('%s', (_name, previous, strain, level) => {
    expect(pressureOf(previous, { ...CALM, ...strain })).toBe(level);
  });

  it('does not flap while a reading wavers at a bound', () => {
    let level: Pressure = 'normal';
    const levels = [0.84, 0.86, 0.84, 0.86, 0.81, 0.86, 0.79].map((lineShare) => {
      level = pressureOf(level, { ...CALM, lineShare });
      return level;
    });
    const changes = levels.filter((now, index) => index > 0 && now !== levels[index - 1]);
    expect(changes).toEqual(['elevated', 'normal']);
  });
});

function state(partial: Partial<PressureState>): PressureState {
  return {
    level: 'critical',
    flooded: false,
    effects: new Map(),
    holding: new Set(),
    nowMs: 1_000_000,
    ...partial,
  };
}

/** Asks again and again, as the manager does, with the same effect for every action. */
function actionsTaken(level: Pressure, flooded: boolean, freedBytes: number): PressureAction[] {
  const effects = new Map<PressureAction, Effect>();
  const holding = new Set<PressureAction>();
  const taken: PressureAction[] = [];
  for (;;) {
    const action = nextAction(state({ level, flooded, effects, holding }));
    if (action === undefined) return taken;
    taken.push(action);
    effects.set(action, { atMs: 1_000_000, freedBytes, level });
    if (['smaller_batches', 'refuse_sessions', 'refuse_requests'].includes(action)) {
      holding.add(action);
    }
  }
}

describe('the actions', () => {
  it('are none while the level is normal', () => {
    expect(nextAction(state({ level: 'normal', flooded: true }))).toBeUndefined();
  });

  it('come in the written order, each once', () => {
    expect(actionsTaken('critical', true, 0)).toEqual([...PRESSURE_ACTIONS]);
    expect(actionsTaken('critical', true, 10 * WORTH_BYTES)).toEqual([...PRESSURE_ACTIONS]);
  });

  it('refuse sessions only when critical, and requests only when flooded', () => {
    expect(actionsTaken('elevated', false, 0).at(-1)).toBe('smaller_batches');
    expect(actionsTaken('critical', false, 0).at(-1)).toBe('refuse_sessions');
  });

  it('are not repeated at once when they freed nothing', () => {
    const nowMs = 1_000_000;
    const actionAfter = (agoMs: number, freedBytes: number) =>
      nextAction(
        state({
          level: 'elevated',
          nowMs,
          holding: new Set<PressureAction>(['smaller_batches']),
          effects: new Map<PressureAction, Effect>(
            PRESSURE_ACTIONS.map((action) => [
              action,
              action === 'trim_cache'
                ? { atMs: nowMs - agoMs, freedBytes, level: 'elevated' }
                : { atMs: nowMs, freedBytes: 0, level: 'elevated' },
            ]),
          ),
        }),
      );
    expect(actionAfter(FRUITLESS_PAUSE_MS - 1, 0)).toBeUndefined();
    expect(actionAfter(FRUITLESS_PAUSE_MS, 0)).toBe('trim_cache');
    expect(actionAfter(FRUITFUL_PAUSE_MS - 1, WORTH_BYTES)).toBeUndefined();
    expect(actionAfter(FRUITFUL_PAUSE_MS, WORTH_BYTES)).toBe('trim_cache');
  });

  it('clear the caches that they had halved as soon as the level is critical, once', () => {
    const actionAfter = (level: Pressure) =>
      nextAction(
        state({
          level: 'critical',
          effects: new Map([['trim_cache', { atMs: 1_000_000, freedBytes: 0, level }]]),
        }),
      );
    expect(actionAfter('elevated')).toBe('trim_cache');
    expect(actionAfter('critical')).not.toBe('trim_cache');
  });

  it('that hold are released when their reason is gone', () => {
    const all = new Set<PressureAction>(['smaller_batches', 'refuse_sessions', 'refuse_requests']);
    expect(releasedActions('critical', true, all)).toEqual([]);
    expect(releasedActions('critical', false, all)).toEqual(['refuse_requests']);
    expect(releasedActions('elevated', false, all)).toEqual(['refuse_sessions', 'refuse_requests']);
    expect(releasedActions('normal', false, all)).toHaveLength(3);
  });
});
