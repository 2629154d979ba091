import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bestLabels } from '../../../../src/inference/workers/best-labels.js';

test('the best labels are those of a full sort, ties in the order of the labels', () => {
  const scores = fc.array(
    fc.integer({ min: 0, max: 20 }).map((n) => n / 20),
    { maxLength: 200 },
  );
  fc.assert(
    fc.property(scores, fc.integer({ min: 1, max: 250 }), (all, count) => {
      const sorted = all
        .map((score, label) => ({ score, label }))
        .sort((a, b) => b.score - a.score)
        .slice(0, count);
      expect(bestLabels(all, count)).toEqual({
        labels: sorted.map(({ label }) => label),
        scores: sorted.map(({ score }) => score),
      });
    }),
  );
});

test('of many labels they are found without sorting all', () => {
  const all = Array.from({ length: 20_000 }, (_, index) => ((index * 7919) % 20_011) / 20_011);
  const { labels, scores } = bestLabels(all, 5);
  expect(scores).toEqual([...all].sort((a, b) => b - a).slice(0, 5));
  expect(labels.map((label) => all[label])).toEqual(scores);
});
