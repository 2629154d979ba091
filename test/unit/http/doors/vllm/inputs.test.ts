import { expect, test } from 'vitest';
import { documentsIn, functionOf, scoredPairs } from '../../../../../src/http/doors/vllm/inputs.js';

test('one text goes with each of several, two lists go side by side', () => {
  const pair = (text: string, text_pair: string) => ({ text, text_pair });
  expect(scoredPairs('a', 'b', 4)).toEqual([pair('a', 'b')]);
  expect(scoredPairs('a', ['b', 'c'], 4)).toEqual([pair('a', 'b'), pair('a', 'c')]);
  expect(scoredPairs(['a', 'b'], ['c', 'd'], 4)).toEqual([pair('a', 'c'), pair('b', 'd')]);
  expect(() => scoredPairs(['a', 'b'], ['c'], 4)).toThrow(/text_1 has 2 texts and text_2 has 1/);
  expect(() => scoredPairs('a', [], 4)).toThrow(/text_2 is an empty list/);
});

test('documents are texts, or objects with one', () => {
  expect(documentsIn(['a', { text: 'b' }], 2)).toEqual(['a', 'b']);
  expect(() => documentsIn([{ title: 'b' }], 2)).toThrow(/documents\[0\].text is missing/);
  expect(() => documentsIn(['a', 'b', 'c'], 2)).toThrow(/at most 2/);
});

test('documents and second texts may be empty, queries may not', () => {
  expect(documentsIn(['', { text: ' ' }], 2)).toEqual(['', ' ']);
  expect(scoredPairs('a', ['', 'b'], 4)).toEqual([
    { text: 'a', text_pair: '' },
    { text: 'a', text_pair: 'b' },
  ]);
  expect(scoredPairs('a', '', 4)).toHaveLength(1);
  expect(() => scoredPairs(' ', ['a'], 4)).toThrow(/text_1 is empty/);
});

test('any of the names of vLLM leaves the outputs as they are', () => {
  expect(functionOf({})).toBeUndefined();
  expect(functionOf({ softmax: true, activation: null })).toBeUndefined();
  expect(functionOf({ use_activation: false })).toBe('none');
  expect(functionOf({ softmax: false })).toBe('none');
});
