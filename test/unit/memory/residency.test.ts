import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  breakEvenMs,
  evictionOrder,
  LONGEST_STAY_MS,
  type ModelFigures,
  SHORTEST_STAY_MS,
  shouldUnload,
} from '../../../src/memory/residency.js';

const MB = 2 ** 20;
/** A bert-base: 20 MB of its own, reload in 10 ms. On a free line it has paid off after 25 s. */
const MODEL: ModelFigures = {
  model: 'm',
  expectedGapMs: undefined,
  idleMs: 1000,
  reloadMs: 10,
  heldBytes: 20 * MB,
};

describe('how long an idle model stays', () => {
  it('breaks even when holding has cost what reloading will', () => {
    expect(breakEvenMs(10, 20 * MB, 1)).toBeCloseTo(25_000);
    expect(breakEvenMs(10, 20 * MB, 0.1)).toBeCloseTo(2500);
    expect(breakEvenMs(0, 20 * MB, 1)).toBe(0);
    expect(breakEvenMs(1000, 0, 1)).toBe(LONGEST_STAY_MS);
  });

  const table: readonly (readonly [string, Partial<ModelFigures>, number, boolean, boolean])[] = [
    ['goes at once under pressure', { idleMs: 0 }, 1, true, true],
    ['stays right after a request', { idleMs: SHORTEST_STAY_MS - 1 }, 0, false, false],
    ['stays while nothing is known and holding is cheap', {}, 1, false, false],
    ['goes when holding has cost a reload', { idleMs: 25_001 }, 1, false, true],
    ['goes earlier when the line is nearly full', { idleMs: 1000 }, 0.03, false, true],
    ['goes when its next request comes too late', { expectedGapMs: 60_000 }, 1, false, true],
    ['stays when its next request is near', { expectedGapMs: 800 }, 1, false, false],
    ['goes when its next request is overdue', { expectedGapMs: 800, idleMs: 2651 }, 1, false, true],
    [
      'stays, overdue, for as long again as it takes to get a hot model back',
      { expectedGapMs: 100, idleMs: 1299, reloadMs: 1000 },
      ...([1, false, false] as const),
    ],
    [
      'goes after that',
      { expectedGapMs: 100, idleMs: 1301, reloadMs: 1000 },
      ...([1, false, true] as const),
    ],
  ];
  it.each(table)('%s', (_name, figures, freeShare, underPressure, unload) => {
    expect(shouldUnload({ ...MODEL, ...figures }, freeShare, underPressure)).toBe(unload);
  });

  it('never lets a model that is held for nothing stay longer than the limit', () => {
    fc.assert(
      fc.property(
        fc.record({
          idleMs: fc.double({ min: LONGEST_STAY_MS, max: 1e9, noNaN: true }),
          reloadMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
          heldBytes: fc.integer({ min: 0, max: 1e9 }),
          expectedGapMs: fc.option(fc.double({ min: 0, max: 1e9, noNaN: true }), {
            nil: undefined,
          }),
        }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (figures, freeShare) => shouldUnload({ model: 'm', ...figures }, freeShare, false),
      ),
    );
  });
});

describe('who is evicted first', () => {
  it('is the one with the least requests × reload time ÷ bytes', () => {
    const busy = { ...MODEL, model: 'busy', expectedGapMs: 100, idleMs: 50 };
    const rare = { ...MODEL, model: 'rare', expectedGapMs: 60_000, idleMs: 50 };
    const large = { ...busy, model: 'large', heldBytes: 200 * MB };
    const slow = { ...busy, model: 'slow', reloadMs: 1000 };
    expect(evictionOrder([slow, busy, rare, large]).map(({ model }) => model)).toEqual([
      'rare',
      'large',
      'busy',
      'slow',
    ]);
  });

  it('counts a model that has gone quiet by its silence, not by its past', () => {
    const quiet = { ...MODEL, model: 'quiet', expectedGapMs: 10, idleMs: 90_000 };
    const steady = { ...MODEL, model: 'steady', expectedGapMs: 5000, idleMs: 100 };
    expect(evictionOrder([steady, quiet])[0]?.model).toBe('quiet');
  });
});
