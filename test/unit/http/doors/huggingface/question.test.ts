import { describe, expect, test } from 'vitest';
import type { HfParameters } from '../../../../../src/contract/doors/hugging-face.js';
import { questionOf } from '../../../../../src/http/doors/huggingface/question.js';
import type { ModelTask } from '../../../../../src/models/intake/description.js';
import { asPipeline } from '../../../../../src/tasks/score-choice.js';

const ask = (
  inputs: unknown,
  parameters: HfParameters = {},
  task: ModelTask = 'text-classification',
) => questionOf(inputs, parameters, { task, maxTokens: 64 } as const, 4);

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

test.each([
  ['a list', ['a', 'b', 'c', 'd', 'e']],
  ['a text', 'a,b,c,d,e'],
  ['some megabytes of commas', ','.repeat(4_000_000)],
])('more labels than a request has rows are refused: %s', (_, candidate_labels) => {
  expect(() => ask('a', { candidate_labels })).toThrow(/candidate_labels has more than 4 labels/);
});

test('a model of tokens gives entities, put together unless the caller says otherwise', () => {
  expect(ask('a', {}, 'token-classification')).toMatchObject({ aggregation: 'simple' });
  const none = ask(['a'], { aggregation_strategy: 'none' }, 'token-classification');
  expect(none).toMatchObject({ aggregation: 'none', isList: true });
});

test('pairs may be lists, and one text of a pair empty', () => {
  const pair = { text: 'a', text_pair: 'b' };
  expect(ask([['a', 'b'], 'c', [['a', 'b']]])).toMatchObject({ inputs: [pair, 'c', pair] });
  const blank = { text: 'a', text_pair: ' ' };
  expect(ask([blank, { text: '', text_pair: 'b' }])).toMatchObject({
    inputs: [blank, { text: '', text_pair: 'b' }],
  });
  // The pipeline takes a second text without a character for none.
  expect(ask([{ text: 'a', text_pair: '' }, ['a', '']])).toMatchObject({ inputs: ['a', 'a'] });
});

describe('parameters are read as pipelines read them', () => {
  test.each<[HfParameters, object]>([
    [{}, { topK: undefined, function: asPipeline }],
    [{ return_all_scores: true }, { topK: undefined }],
    [{ return_all_scores: false }, { topK: 1 }],
    [{ return_all_scores: false, top_k: 3 }, { topK: 3 }],
    [{ top_k: 2 ** 40 }, { topK: 100_000 }],
    [{ function_to_apply: 'SIGMOID' }, { function: 'sigmoid' }],
    [{ max_length: 64 }, { topK: undefined }],
    [{ max_length: 512, truncation: true } as HfParameters, { topK: undefined }],
  ])('%j', (parameters, expected) => {
    expect(ask('a', parameters)).toMatchObject(expected);
  });

  test('of tokens too', () => {
    const parameters = { aggregation_strategy: 'FIRST', max_length: 64 };
    expect(ask('a', parameters, 'token-classification')).toMatchObject({ aggregation: 'first' });
  });
});

describe('refuses, and names what is wrong', () => {
  test.each<[unknown, HfParameters, RegExp]>([
    [undefined, {}, /inputs is missing/],
    [' ', {}, /inputs is empty/],
    [[], {}, /inputs is an empty list/],
    [['a', 'b', 'c', 'd', 'e'], {}, /inputs has 5 items; at most 4/],
    [['a', 3], {}, /inputs\[1\] is a number/],
    [{ text: ' ', text_pair: '' }, {}, /inputs.text and inputs.text_pair are both empty/],
    [{ text: ' ' }, {}, /inputs.text is empty/],
    [[['a', 'b', 'c']], {}, /inputs\[0\] is a list of 3; a pair/],
    [[['a']], {}, /inputs\[0\] is a list of 1; a pair/],
    ['a', { max_length: 63 }, /max_length is 63, and the model takes 64 tokens.* max_tokens/],
    ['a', { function_to_apply: 'tanh' }, /function_to_apply is "tanh"; it is one of softmax/],
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
