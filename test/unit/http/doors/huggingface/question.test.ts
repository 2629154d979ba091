import { describe, expect, test } from 'vitest';
import type { HfParameters } from '../../../../../src/contract/doors/hugging-face.js';
import { questionOf } from '../../../../../src/http/doors/huggingface/question.js';

const ask = (inputs: unknown, parameters: HfParameters = {}, task = 'text-classification') =>
  questionOf(inputs, parameters, task, 4);

test('texts and pairs are text classification, in a list or alone', () => {
  expect(ask('a')).toMatchObject({ kind: 'text-classification', isList: false, inputs: ['a'] });
  const pair = { text: 'a', text_pair: 'b' };
  expect(ask([pair, 'c', { text: 'd' }])).toMatchObject({ isList: true, inputs: [pair, 'c', 'd'] });
});

test('candidate labels make it zero-shot, as a list or divided by commas, whatever the model', () => {
  for (const candidate_labels of [['x', 'y'], 'x, y,']) {
    const found = ask('a', { candidate_labels, multi_label: null }, 'token-classification');
    expect(found).toMatchObject({ kind: 'zero-shot-classification', candidateLabels: ['x', 'y'] });
  }
});

test('a model of tokens gives entities, put together unless the caller says otherwise', () => {
  expect(ask('a', {}, 'token-classification')).toMatchObject({ aggregation: 'simple' });
  const none = ask(['a'], { aggregation_strategy: 'none' }, 'token-classification');
  expect(none).toMatchObject({ aggregation: 'none', isList: true });
});

describe('refuses, and names what is wrong', () => {
  test.each<[unknown, HfParameters, RegExp]>([
    [undefined, {}, /inputs is missing/],
    [' ', {}, /inputs is empty/],
    [[], {}, /inputs is an empty list/],
    [['a', 'b', 'c', 'd', 'e'], {}, /inputs has 5 items; at most 4/],
    [['a', 3], {}, /inputs\[1\] is a number/],
    [{ text: 'a', text_pair: '' }, {}, /inputs.text_pair is empty/],
    ['a', { stride: 3 }, /parameters.stride is none of text-classification/],
    ['a', { candidate_labels: ['x'], top_k: 1 }, /parameters.top_k is none of zero-shot/],
  ])('%j %j', (inputs, parameters, message) => {
    expect(() => ask(inputs, parameters)).toThrow(message);
  });

  test('but not what changes nothing, nor null', () => {
    const parameters = { truncation: true, padding: true, stride: null } as HfParameters;
    expect(ask('a', parameters).kind).toBe('text-classification');
  });
});
