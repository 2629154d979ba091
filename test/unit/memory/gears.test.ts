import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LoadAdmission } from '../../../src/memory/admission.js';
import {
  asSet,
  type GearFigures,
  hasStandIn,
  nextShift,
  shouldShift,
} from '../../../src/memory/gears.js';

const HOT = { shiftMs: 300, savedMsPerRun: 10, privateBytes: 1000, prepackedBytes: 2000 };
/** A bert-base that is asked ten times a second. */
const BUSY: GearFigures = {
  ...{ worker: 'worker-1', model: 'm', gear: 'cold', batches: 30 },
  ...{ expectedGapMs: 100, idleMs: 50, hot: HOT },
};

describe('a model in the cold gear', () => {
  const table: readonly (readonly [string, Partial<GearFigures>, boolean])[] = [
    ['shifts when its runs have lost what the shift takes', {}, true],
    ['stays one run before that', { batches: 29 }, false],
    ['stays before it has run', { batches: 0 }, false],
    ['is hot already', { gear: 'hot' }, false],
    ['stays where the hot gear was not measured', { hot: undefined }, false],
    ['stays where the hot gear saves nothing', { hot: { ...HOT, savedMsPerRun: 0 } }, false],
    ['stays when its next request is overdue', { idleMs: 551 }, false],
    ['shifts while its next request may still come', { idleMs: 550 }, true],
    ['shifts when its gap is not known yet', { expectedGapMs: undefined, idleMs: 5000 }, true],
    ['shifts later where less is saved', { hot: { ...HOT, savedMsPerRun: 5 } }, false],
    ['shifts sooner where it is cheap', { batches: 3, hot: { ...HOT, shiftMs: 30 } }, true],
  ];
  it.each(table)('%s', (_name, figures, shifts) => {
    expect(shouldShift({ ...BUSY, ...figures })).toBe(shifts);
  });

  it('never takes more than twice what knowing the future would have taken', () => {
    const cost = fc.double({ min: 0.01, max: 1e4, noNaN: true });
    fc.assert(
      fc.property(cost, cost, fc.integer({ min: 0, max: 3000 }), (shiftMs, savedMsPerRun, runs) => {
        const hot = { ...HOT, shiftMs, savedMsPerRun };
        let paid = 0;
        let gear: 'cold' | 'hot' = 'cold';
        for (let batches = 1; batches <= runs; batches += 1) {
          if (gear === 'cold') paid += savedMsPerRun;
          if (gear === 'cold' && shouldShift({ ...BUSY, gear, batches, hot })) {
            paid += shiftMs;
            gear = 'hot';
          }
        }
        // One run more than that: it is looked at after a run, not within one.
        const best = Math.min(shiftMs, runs * savedMsPerRun);
        expect(paid).toBeLessThanOrEqual(2 * best + savedMsPerRun + 1e-6);
      }),
    );
  });
});

describe('the setting', () => {
  it.each([
    ['auto', 0, false],
    ['auto', 30, true],
    ['cold', 1e9, false],
    ['hot', 0, true],
  ] as const)('%s after %i batches: %s', (setting, batches, shifts) => {
    expect(shouldShift({ ...BUSY, batches, hot: asSet(setting, HOT) })).toBe(shifts);
  });

  it('does not make up figures for what was not measured', () => {
    expect(asSet('hot', undefined)).toBeUndefined();
  });
});

describe('of several', () => {
  it('the one that has lost the most goes first; none where none should', () => {
    const more = { ...BUSY, worker: 'worker-2', batches: 40 };
    expect(nextShift([BUSY, more])).toBe(more);
    expect(nextShift([{ ...BUSY, batches: 1 }])).toBeUndefined();
    expect(nextShift([])).toBeUndefined();
  });
});

describe('who answers meanwhile', () => {
  const own = { id: 'worker-1', idle: true, models: ['m'] };
  it.each([
    ['nobody', [], false],
    ['one that holds the model, even if busy', [{ idle: false, models: ['m'] }], true],
    ['one that is free to open it', [{ idle: true, models: [] }], true],
    ['none: the other is busy with another model', [{ idle: false, models: ['n'] }], false],
  ])('%s', (_name, others, found) => {
    const workers = [own, ...others.map((of, at) => ({ id: `worker-${at + 2}`, ...of }))];
    expect(hasStandIn('worker-1', 'm', workers)).toBe(found);
  });
});

describe('room for it', () => {
  it('is asked for with its page cache, evicts nothing, and counts as promised', () => {
    let evictions = 0;
    const admission = new LoadAdmission({
      figures: () => ({ loadBytes: 100, lineBytes: 200 }),
      makeRoom: async () => {
        evictions += 1;
      },
    });
    expect(admission.askForSpare(60, 41)).toBeUndefined();
    const settle = admission.askForSpare(60, 40);
    expect(settle).toBeDefined();
    expect(admission.promisedBytes).toBe(60);
    expect(admission.askForSpare(1, 40)).toBeUndefined();
    settle?.();
    admission.readingTaken();
    expect(admission.promisedBytes).toBe(0);
    expect(evictions).toBe(0);
  });
});
