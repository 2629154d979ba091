/** Models whose graph ends in Softmax or Sigmoid: what a request may ask for. */
import { describe, expect, test } from 'vitest';
import { describe as described } from '../../../src/models/intake/description.js';
import { functionFor } from '../../../src/models/intake/reading/scoring.js';
import { logitsFrom, scoresOf } from '../../../src/models/run/scores.js';
import { logits } from '../../../src/tasks/logits.js';
import { textClassification } from '../../../src/tasks/text-classification.js';
import { zeroShot } from '../../../src/tasks/zero-shot.js';
import { declarationOf } from '../models/described.js';

const measured = { labelCount: 3, maxTokens: 128, decisions: [] };
const NLI = declarationOf(['contradiction', 'neutral', 'entailment']);
const softmaxed = described(NLI, { ...measured, endsIn: 'softmax' });
const sigmoided = described(NLI, { ...measured, endsIn: 'sigmoid' });

describe('a function that is asked for', () => {
  test.each([
    ['none', 'softmax', 'softmax'],
    ['softmax', 'softmax', 'softmax'],
    ['none', 'sigmoid', 'sigmoid'],
    ['softmax', 'sigmoid', 'softmax'],
    ['sigmoid', undefined, 'sigmoid'],
    [undefined, 'softmax', undefined],
  ] as const)('%s of a graph that ends in %s is %s', (asked, endsIn, applied) => {
    expect(functionFor(asked, endsIn)).toBe(applied);
  });

  test('sigmoid cannot be had of softmax, and that is said', () => {
    const asked = textClassification({ inputs: ['a'], topK: 1, function: 'sigmoid' });
    expect(() => asked.plan(softmaxed)).toThrow(/the model’s graph ends in Softmax/);
    expect(asked.plan(sigmoided).function).toBeUndefined();
  });

  test('the model’s own is what its graph ends in, and the description says why', () => {
    expect(sigmoided.scoring).toBe('sigmoid');
    const decision = sigmoided.decisions.find(({ about }) => about === 'function');
    expect(decision?.from).toMatch(/the graph itself ends in sigmoid/);
  });
});

test('raw outputs are those of the graph', () => {
  expect(logits({ rows: [] }).plan(softmaxed).function).toBe('softmax');
});

test('labels of one’s own need logits where one of several is wanted', () => {
  const of = (candidateLabels: readonly string[], multiLabel: boolean) =>
    zeroShot({ texts: ['a'], candidateLabels, multiLabel });
  expect(() => of(['x', 'y'], false).plan(softmaxed)).toThrow(/ends in Softmax/);
  expect(of(['x', 'y'], true).plan(softmaxed).rows).toHaveLength(2);
  expect(of(['x', 'y'], false).plan(sigmoided).rows).toHaveLength(2);
});

test('what a graph made of its logits becomes the same scores, at the ends of the scale too', () => {
  const rows = Float32Array.of(0.25, 0.75, 0, 1, 1e-30, 1);
  for (const ending of ['softmax', 'sigmoid'] as const) {
    const scores = scoresOf(logitsFrom(rows, ending), 2, ending).flat();
    for (const [at, score] of scores.entries()) expect(score).toBeCloseTo(rows[at] ?? 9, 6);
  }
});
