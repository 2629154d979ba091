import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ScoreFunction } from '../../../../src/models/intake/reading/scoring.js';
import { bestLabels } from '../../../../src/models/run/best-labels.js';
import { scoresOf } from '../../../../src/models/run/scores.js';

/** The first of all scores in descending order; ties in the order of the labels. */
function sorted(logits: Float32Array, applied: ScoreFunction, count: number) {
  const [all = []] = scoresOf(logits, logits.length, applied);
  return all
    .map((score, label) => ({ score, label }))
    .sort((a, b) => b.score - a.score)
    .slice(0, count);
}

test('the best labels are the first of all, ties in the order of the labels', () => {
  // Few different values, so that there are ties; far apart, so that many scores are rounded to 0.
  const logit = fc.oneof(
    fc.integer({ min: -3, max: 3 }),
    fc.double({ min: -50, max: 50, noNaN: true }),
  );
  fc.assert(
    fc.property(
      fc.array(logit, { minLength: 1, maxLength: 200 }),
      fc.constantFrom('softmax', 'sigmoid', 'none'),
      fc.integer({ min: 1, max: 250 }),
      (values, applied, count) => {
        const logits = Float32Array.from(values);
        const { labels, scores } = bestLabels(logits, applied, count);
        const expected = sorted(logits, applied, count);
        expect(labels).toEqual(expected.map(({ label }) => label));
        expect(scores).toEqual(expected.map(({ score }) => score));
      },
    ),
  );
});

test('of 20,000 labels they are the same', () => {
  const logits = Float32Array.from({ length: 20_000 }, (_, n) => ((n * 7919) % 20_011) / 2000);
  const { labels, scores } = bestLabels(logits, 'softmax', 5);
  expect(scores).toEqual(sorted(logits, 'softmax', 5).map(({ score }) => score));
  expect(labels).toEqual(sorted(logits, 'softmax', 5).map(({ label }) => label));
});
