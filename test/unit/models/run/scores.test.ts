import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { scoresOf } from '../../../../src/models/run/scores.js';

const LARGEST = 3.4028234663852886e38;

describe('labels that compete', () => {
  test('softmax, row by row', () => {
    const logits = new Float32Array([0, 0, Math.log(3), 0, -1, 2, 2, 2, 2]);
    expect(scoresOf(logits, 3, 'softmax')).toEqual([
      [0.2, 0.2, 0.6],
      // e^0, e^−1 and e^2 ÷ (e^0 + e^−1 + e^2)
      [0.1141952, 0.0420101, 0.8437947],
      [0.3333333, 0.3333333, 0.3333333],
    ]);
  });

  test.each([
    [
      [1000, 0],
      [1, 0],
    ],
    [
      [-1000, -1000],
      [0.5, 0.5],
    ],
    [
      [LARGEST, -LARGEST],
      [1, 0],
    ],
    [
      [LARGEST, LARGEST],
      [0.5, 0.5],
    ],
    [
      [-LARGEST, -LARGEST],
      [0.5, 0.5],
    ],
  ])('extreme logits %j', (logits, scores) => {
    expect(scoresOf(new Float32Array(logits), 2, 'softmax')).toEqual([scores]);
  });

  test('are scores from 0 to 1 that add up to 1 and keep the order of the logits', () => {
    const logit = fc.float({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(fc.array(logit, { minLength: 1, maxLength: 20 }), (logits) => {
        const [scores = []] = scoresOf(new Float32Array(logits), logits.length, 'softmax');
        expect(scores).toHaveLength(logits.length);
        expect(scores.every((score) => score >= 0 && score <= 1)).toBe(true);
        expect(scores.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
        for (const [i, a] of logits.entries()) {
          for (const [j, b] of logits.entries()) {
            if (a > b) expect(scores[i]).toBeGreaterThanOrEqual(scores[j] ?? 1);
          }
        }
      }),
    );
  });
});

describe('labels that stand alone', () => {
  test.each([
    [0, 0.5],
    [Math.log(3), 0.75],
    [-Math.log(3), 0.25],
    [1000, 1],
    [-1000, 0],
    [LARGEST, 1],
    [-LARGEST, 0],
  ])('the logistic function of %d is %d', (logit, score) => {
    expect(scoresOf(new Float32Array([logit]), 1, 'sigmoid')).toEqual([[score]]);
  });

  test('do not depend on one another', () => {
    const logits = new Float32Array([3, -3, 0.5, 9]);
    const together = scoresOf(logits, 4, 'sigmoid').flat();
    expect(together).toEqual(scoresOf(logits, 1, 'sigmoid').flat());
  });
});

test('no rows, no scores', () => {
  expect(scoresOf(new Float32Array(0), 2, 'softmax')).toEqual([]);
});

describe('raw numbers', () => {
  test.each([0, -1.5, 1234.5, 1e-9, -3.25e-7, LARGEST, -LARGEST])('%d stays as it is', (value) => {
    const [[score] = []] = scoresOf(new Float32Array([value]), 1, 'none');
    expect(Math.fround(score ?? Number.NaN)).toBe(Math.fround(value));
    expect(Object.is(score, -0)).toBe(false);
  });

  test('every single-precision number comes back from its score', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const [[score] = []] = scoresOf(new Float32Array([value]), 1, 'none');
        expect(Math.fround(score ?? Number.NaN)).toBe(value + 0);
      }),
    );
  });
});

test('each row may have a function of its own', () => {
  const logits = new Float32Array([0, 0, 0, 0, 2, 3]);
  expect(scoresOf(logits, 2, ['softmax', 'sigmoid', 'none'])).toEqual([
    [0.5, 0.5],
    [0.5, 0.5],
    [2, 3],
  ]);
});
