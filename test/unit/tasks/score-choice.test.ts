import { expect, test } from 'vitest';
import { type Declaration, describe as described } from '../../../src/models/intake/description.js';
import { rerank } from '../../../src/tasks/rerank.js';
import { asPipeline, asProbability, chosenFunction } from '../../../src/tasks/score-choice.js';
import { textClassification } from '../../../src/tasks/text-classification.js';
import { declarationOf } from '../models/described.js';

const identity = { function: 'none', from: 'a test' } as const;
const softmax = { function: 'softmax', from: 'a test' } as const;

/** Own function, transformers' and TEI's. */
test.each<[readonly string[], Partial<Declaration>, string, string, string]>([
  [['a'], {}, 'sigmoid', 'sigmoid', 'sigmoid'],
  [['a'], { activation: identity }, 'none', 'sigmoid', 'sigmoid'],
  [['a', 'b', 'c'], { activation: identity }, 'none', 'softmax', 'softmax'],
  [['a'], { problemType: 'regression' }, 'none', 'none', 'sigmoid'],
  [['a', 'b'], { problemType: 'regression' }, 'none', 'none', 'softmax'],
  [['a', 'b'], { problemType: 'multi_label_classification' }, 'sigmoid', 'sigmoid', 'sigmoid'],
  [['a'], { activation: softmax }, 'softmax', 'sigmoid', 'softmax'],
  [['a'], { overrides: { function: 'none' } }, 'none', 'none', 'none'],
  [['a', 'b'], { overrides: { function: 'sigmoid' } }, 'sigmoid', 'sigmoid', 'sigmoid'],
])('%j with %j: %s, behind the pipeline %s, behind TEI %s', (labels, files, own, hf, tei) => {
  const description = described({ ...declarationOf(labels), ...files });
  const applied = (choice: Parameters<typeof chosenFunction>[1]) =>
    chosenFunction(description, choice) ?? description.scoring;
  expect([undefined, asPipeline, asProbability].map(applied)).toEqual([own, hf, tei]);
  expect(applied('none')).toBe('none');
});

test('plans name a function only where it is not the model’s own', () => {
  const files = { ...declarationOf(['a']), activation: identity };
  const description = described(files);
  const plansWith = (own: Parameters<typeof chosenFunction>[1]) => [
    textClassification({ inputs: ['x'], topK: undefined, function: own }).plan(description)
      .function,
    rerank({ query: 'x', documents: ['y'], function: own }).plan(description).function,
  ];
  expect(plansWith(asProbability)).toEqual(['sigmoid', 'sigmoid']);
  expect(plansWith('none')).toEqual([undefined, undefined]);
});
