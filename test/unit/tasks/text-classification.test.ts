import { expect, test } from 'vitest';
import { textClassification } from '../../../src/tasks/text-classification.js';
import { aModel } from '../models/described.js';

const { description } = aModel('m', { labels: ['same', 'other', 'same'] });
const scores = [0.2, 0.1, 0.7];
const results = [{ result: { scores, truncated: false } }];

test('labels of one name keep a score each, by the index of the output', () => {
  const task = textClassification({ inputs: ['a'], topK: undefined, isByIndex: true });
  const found = task.plan(description).answer(results, 0);
  expect(found).toEqual([
    { label: 'same', score: 0.2 },
    { label: 'other', score: 0.1 },
    { label: 'same', score: 0.7 },
  ]);
  expect(task.best(found)).toEqual({ label: 'same', score: 0.7 });
});

test('else the best label comes first', () => {
  const task = textClassification({ inputs: ['a'], topK: undefined });
  const found = task.plan(description).answer(results, 0);
  expect(found.map(({ score }) => score)).toEqual([0.7, 0.2, 0.1]);
  expect(task.best(found)).toEqual({ label: 'same', score: 0.7 });
});
