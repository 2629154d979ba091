import { describe, expect, test } from 'vitest';
import { INPUTS, rowsOf } from '../../../../../src/http/doors/open-inference/rows.js';
import { readRequest } from '../../../../../src/http/doors/open-inference/tensors/request.js';
import { bodyOf, type ClientTensor } from './client.js';

const MAX_ROWS = 3;
const texts = (elements: readonly string[], shape = [elements.length], name = 'text') =>
  ({ name, datatype: 'BYTES', shape, elements }) satisfies ClientTensor;
const integers = (name: string, rows: readonly (readonly number[])[]) =>
  ({
    ...{ name, datatype: 'INT64', shape: [rows.length, rows[0]?.length ?? 0] },
    elements: rows.flat(),
  }) satisfies ClientTensor;

function rows(...inputs: readonly ClientTensor[]) {
  const { body, header } = bodyOf(inputs.map((tensor) => [tensor, 'binary'] as const));
  return rowsOf(readRequest(body, header, INPUTS), MAX_ROWS);
}

test('texts, in one dimension or two', () => {
  expect(rows(texts(['a', 'b']))).toEqual({ kind: 'texts', rows: ['a', 'b'] });
  expect(rows(texts(['a', 'b'], [2, 1]))).toEqual({ kind: 'texts', rows: ['a', 'b'] });
});

test('pairs', () => {
  expect(rows(texts(['a']), texts(['b'], [1], 'text_pair')).rows).toEqual([
    { text: 'a', text_pair: 'b' },
  ]);
});

test('one text of a pair may be empty; a second one without a character is none', () => {
  const [text, pair] = [texts(['a', 'b', '']), texts([' ', '', 'c'], [3], 'text_pair')];
  expect(rows(text, pair).rows).toEqual([
    { text: 'a', text_pair: ' ' },
    'b',
    { text: '', text_pair: 'c' },
  ]);
});

test('ids, whose mask says how long a row is, on either side', () => {
  const ids = integers('input_ids', [
    [1, 2, 0],
    [0, 3, 4],
    [5, 6, 7],
  ]);
  const mask = integers('attention_mask', [
    [1, 1, 0],
    [0, 1, 1],
    [1, 1, 1],
  ]);
  const types = integers('token_type_ids', [
    [0, 1, 9],
    [9, 0, 0],
    [1, 1, 1],
  ]);
  expect(rows(ids, mask, types)).toEqual({
    kind: 'ids',
    rows: [
      { ids: [1, 2], types: [0, 1] },
      { ids: [3, 4], types: [0, 0] },
      { ids: [5, 6, 7], types: [1, 1, 1] },
    ],
  });
  expect(rows(ids).rows[0]).toEqual({ ids: [1, 2, 0] });
});

describe('a refusal names what is wrong', () => {
  const ids = integers('input_ids', [[1, 2, 3]]);
  test.each<[string, readonly ClientTensor[], RegExp]>([
    ['texts and ids', [texts(['a']), ids], /both text and input_ids/],
    ['neither', [texts(['a'], [1], 'text_pair')], /neither text \(BYTES\) nor input_ids/],
    [
      'a mask beside texts',
      [texts(['a']), integers('attention_mask', [[1]])],
      /attention_mask cannot be sent beside text/,
    ],
    [
      'a pair beside ids',
      [ids, texts(['a'], [1], 'text_pair')],
      /text_pair cannot be sent beside input_ids/,
    ],
    ['no rows', [texts([])], /text has no rows/],
    ['too many rows', [texts(['a', 'b', 'c', 'd'])], /text has 4 rows; at most 3/],
    ['a blank text', [texts(['a', ' \n'])], /element 1 of text is empty/],
    ['texts in columns', [texts(['a', 'b'], [1, 2])], /text has the shape \[1, 2\]/],
    [
      'fewer pairs than texts',
      [texts(['a', 'b']), texts(['c'], [1], 'text_pair')],
      /text has 2 rows and text_pair has 1/,
    ],
    ['ids of one dimension', [{ ...ids, shape: [3] }], /input_ids has the shape \[3\]/],
    [
      'a mask of another shape',
      [ids, integers('attention_mask', [[1, 1]])],
      /attention_mask has the shape \[1, 2\] and input_ids has \[1, 3\]/,
    ],
    [
      'a mask with a hole',
      [ids, integers('attention_mask', [[1, 0, 1]])],
      /row 0 of attention_mask has a hole/,
    ],
    [
      'padding on both sides',
      [ids, integers('attention_mask', [[0, 1, 0]])],
      /padding on both sides/,
    ],
    [
      'a mask that hides all',
      [ids, integers('attention_mask', [[0, 0, 0]])],
      /row 0 has no tokens/,
    ],
    [
      'a mask of other numbers',
      [ids, integers('attention_mask', [[1, 2, 1]])],
      /attention_mask has 2: it is 0 or 1/,
    ],
    ['rows without tokens', [{ ...ids, shape: [1, 0], elements: [] }], /row 0 has no tokens/],
  ])('%s', (_what, inputs, message) => {
    expect(() => rows(...inputs)).toThrow(message);
  });
});
