import { expect, test } from 'vitest';
import { keyTextOf, kindOf, type RowInput } from '../../../src/models/run/row-input.js';
import { rerank } from '../../../src/tasks/rerank.js';
import { textClassification } from '../../../src/tasks/text-classification.js';
import { aModel } from '../models/described.js';

const pair = { text: 'a', text_pair: 'b' };
const rowsOf = (
  truncationSide: 'left' | 'right' | undefined,
  own: 'left' | 'right' | undefined,
): readonly RowInput[] => {
  const { description: plain } = aModel('m', { labels: ['x'] });
  const description = { ...plain, truncationSide: own };
  const texts = textClassification({ inputs: ['a', pair], topK: undefined, truncationSide });
  const ranks = rerank({ query: 'a', documents: ['b'], truncationSide });
  return [...texts.plan(description).rows, ...ranks.plan(description).rows];
};
const plain = ['a', { text: 'a', pair: 'b', cut: 'longest_first' }];

test('each row says where it is cut, unless that is where the model cuts it anyway', () => {
  const both = { text: 'a', pair: 'b', cut: 'longest_first', side: 'left' };
  const sided = [{ text: 'a', side: 'left' }, both, both];
  expect(rowsOf('left', undefined)).toEqual(sided);
  expect(rowsOf('left', 'right')).toEqual(sided);
  expect(rowsOf('left', 'left')).toEqual([...plain, plain[1]]);
  expect(rowsOf(undefined, 'right')).toEqual([...plain, plain[1]]);
});

test('no two of them share a cached result', () => {
  const cut = ['longest_first', 'only_first'] as const;
  const sides = ['left', 'right'] as const;
  const rows: readonly RowInput[] = [
    ...['1:ab', ...sides.map((side) => ({ text: '1:ab', side }))],
    ...cut.map((how) => ({ text: 'a', pair: 'b', cut: how })),
    ...cut.flatMap((how) => sides.map((side) => ({ text: 'a', pair: 'b', cut: how, side }))),
  ];
  expect(new Set(rows.map((row) => `${kindOf(row)} ${keyTextOf(row)}`)).size).toBe(rows.length);
});
