import { describe, expect, test } from 'vitest';
import {
  agreementOf,
  boundsFor,
  isTooSlow,
  type Labelling,
  objection,
} from '../../../../../src/models/compile/verify/judge.js';
import { DEFAULT_BOUNDS } from '../../default-bounds.js';

const BEST: Labelling = { scoring: 'softmax', thresholds: [] };
const APART: Labelling = { scoring: 'sigmoid', thresholds: [undefined, 0.8] };

type Rows = readonly (readonly number[])[];

function compared(reference: Rows, alone: Rows, labelling = BEST, batched = alone) {
  return agreementOf({ reference, alone, batched }, labelling, DEFAULT_BOUNDS);
}

describe('agreement', () => {
  test('the same answers agree wholly', () => {
    const rows = [
      [0.9, 0.1],
      [0.2, 0.8],
    ];
    expect(compared(rows, rows)).toEqual({
      ...{ rows: 2, labels: 100, clearFlips: 0, nearFlips: 0, shift: 0, neighbours: 0 },
    });
    expect(objection(compared(rows, rows), DEFAULT_BOUNDS)).toBeUndefined();
  });

  test('a label that flips close to the border is told apart from one that was clear', () => {
    const found = compared(
      [
        [0.51, 0.49],
        [0.9, 0.1],
      ],
      [
        [0.49, 0.51],
        [0.4, 0.6],
      ],
    );
    expect(found).toMatchObject({ labels: 0, nearFlips: 1, clearFlips: 1 });
    expect(found.shift).toBeCloseTo(0.5);
  });

  test('labels that are decided apart flip at their own thresholds', () => {
    expect(compared([[0.6, 0.79]], [[0.6, 0.81]], APART)).toMatchObject({ nearFlips: 1 });
    expect(compared([[0.6, 0.6]], [[0.6, 0.7]], APART)).toMatchObject({ labels: 100 });
    expect(compared([[0.6, 0.1]], [[0.4, 0.1]], APART)).toMatchObject({ clearFlips: 1 });
  });

  test('a score that only changes among neighbours is found', () => {
    const rows = [[0.9, 0.1]];
    const found = compared(rows, rows, BEST, [[0.88, 0.12]]);
    expect(found.neighbours).toBeCloseTo(0.02);
    expect(objection(found, DEFAULT_BOUNDS)).toMatch(/changes by 0.020 with the texts beside it/);
  });

  test('raw numbers count as parts of the largest, and have no label', () => {
    const raw: Labelling = { scoring: 'none', thresholds: [undefined] };
    const found = compared([[-20], [10]], [[-19], [10]], raw);
    expect(found).toMatchObject({ labels: 100, shift: 0.05 });
  });

  test('what is no number, or too short, never agrees', () => {
    for (const row of [[Number.NaN, Number.NaN], [0.9]]) {
      expect(objection(compared([[0.9, 0.1]], [row]), DEFAULT_BOUNDS)).toBeDefined();
    }
  });
});

describe('bounds', () => {
  const agreeing = { rows: 200, clearFlips: 0, nearFlips: 1, shift: 0.05, neighbours: 0 };

  test('exactly on the bounds is within', () => {
    expect(objection({ ...agreeing, labels: 99.5 }, DEFAULT_BOUNDS)).toBeUndefined();
  });

  test.each([
    [{ ...agreeing, labels: 99.4 }, /1 of 200 labels differ from fp32: 99.40 % agree/],
    [{ ...agreeing, labels: 100, shift: 0.0501 }, /differs from fp32 by 0.050; 0.05 is allowed/],
  ])('%j', (of, message) => {
    expect(objection(of, DEFAULT_BOUNDS)).toMatch(message);
  });

  test('of the first rows only what the others cannot mend counts', () => {
    expect(boundsFor(40, 200, DEFAULT_BOUNDS).labels).toBeCloseTo(97.5);
    expect(boundsFor(40, 100, DEFAULT_BOUNDS).labels).toBe(100);
    expect(boundsFor(200, 200, DEFAULT_BOUNDS)).toBe(DEFAULT_BOUNDS);
  });

  test('a form has to be faster by the margin, and slower in neither', () => {
    expect(isTooSlow({ oneRow: 1.2, batch: 1.2 }, DEFAULT_BOUNDS)).toBeUndefined();
    expect(isTooSlow({ oneRow: 1.05, batch: 1.05 }, DEFAULT_BOUNDS)).toMatch(/1.05 × fp32/);
    expect(isTooSlow({ oneRow: 0.5, batch: 3 }, DEFAULT_BOUNDS)).toBeDefined();
    expect(
      isTooSlow({ oneRow: 0.1, batch: 0.1 }, { ...DEFAULT_BOUNDS, speedup: 0 }),
    ).toBeUndefined();
  });
});
