import { describe, expect, test } from 'vitest';
import { PlimsollError } from '../../../src/errors.js';
import { asPlimsollError, errorBody } from '../../../src/http/errors.js';

const MAX_INPUTS = 3;

function told(error: unknown, body: unknown = undefined) {
  const { code, message } = asPlimsollError(error, body, MAX_INPUTS);
  return { code, message };
}

function invalid(instancePath: string, fact: object) {
  return { validation: [{ instancePath, ...fact }], statusCode: 400 };
}

test('our own errors go out as they are', () => {
  const error = new PlimsollError('QUEUE_FULL', 'full', { retryAfterSeconds: 2 });
  expect(asPlimsollError(error, undefined, MAX_INPUTS)).toBe(error);
  expect(errorBody(error)).toEqual({
    error: { code: 'QUEUE_FULL', message: 'full', retryable: true },
  });
});

test.each([
  ['FST_ERR_CTP_INVALID_JSON_BODY', 'MALFORMED_JSON'],
  ['FST_ERR_CTP_EMPTY_JSON_BODY', 'MALFORMED_JSON'],
  ['FST_ERR_CTP_BODY_TOO_LARGE', 'BODY_TOO_LARGE'],
  ['FST_ERR_CTP_INVALID_MEDIA_TYPE', 'UNSUPPORTED_MEDIA_TYPE'],
])('%s of fastify is %s', (code, expected) => {
  expect(told(Object.assign(new Error('x'), { code, statusCode: 400 })).code).toBe(expected);
});

describe('a field that is wrong is named', () => {
  test.each([
    [invalid('/top_k', { keyword: 'type', message: 'must be integer' }), 'top_k must be integer'],
    [invalid('/a/b', { message: 'must be string' }), 'a.b must be string'],
    [
      invalid('', { keyword: 'required', params: { missingProperty: 'inputs' } }),
      'inputs is missing',
    ],
    [
      invalid('', { keyword: 'additionalProperties', params: { additionalProperty: 'x' } }),
      'x is not a field of this request',
    ],
    [invalid('', { keyword: 'type', message: 'must be object' }), 'the body must be object'],
  ])('%#', (error, message) => {
    expect(told(error)).toEqual({ code: 'INVALID_REQUEST', message });
  });
});

describe('inputs that cannot be classified are explained', () => {
  test.each([
    ['', 'inputs is empty'],
    [[], 'inputs is an empty list'],
    [7, 'inputs is a number, not a text or a list of texts'],
    [null, 'inputs is null, not a text or a list of texts'],
    [{}, 'inputs is an object, not a text or a list of texts'],
    [['a', ' \n'], 'inputs[1] is empty'],
    [{ text: '', text_pair: ' ' }, 'inputs is a pair of empty texts'],
    [[{ text: 'a', text_pair: '' }, ''], 'inputs[1] is empty'],
    [['a', { text: 'a', text_pair: 'b' }], 'inputs[1] is an object, not a text'],
    [['a', 'b', null], 'inputs[2] is null, not a text'],
    [['a', ['b']], 'inputs[1] is a list, not a text'],
    [['a', 'b', 'c', 'd'], 'inputs has 4 texts; at most 3 go into one request'],
  ])('%j', (inputs, message) => {
    const error = invalid('/inputs', { keyword: 'anyOf' });
    expect(told(error, { inputs })).toEqual({ code: 'INVALID_INPUT', message });
  });
});

test.each([
  [new Error('secret path /x')],
  [new TypeError('secret')],
  ['secret'],
  [null],
  [undefined],
  [{}],
])('a fault of ours (%#) tells no details, and keeps the cause for the log', (fault) => {
  const error = asPlimsollError(fault, undefined, MAX_INPUTS);
  expect(error.code).toBe('INTERNAL');
  expect(JSON.stringify(errorBody(error))).not.toContain('secret');
  if (fault instanceof Error) expect(error.cause).toBe(fault);
});

test('other refusals of the framework stay the caller’s', () => {
  expect(told(Object.assign(new Error('odd url'), { statusCode: 414 }))).toEqual({
    code: 'INVALID_REQUEST',
    message: 'odd url',
  });
});
