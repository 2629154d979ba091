import { expect, test } from 'vitest';
import { PlimsollError } from '../../../../../src/errors.js';
import { EmptyBatch, teiErrors } from '../../../../../src/http/doors/tei/errors.js';
import { predicted } from '../../../../../src/http/doors/tei/inputs.js';
import { teiTokens } from '../../../../../src/http/doors/tei/tokens.js';
import { checkTruncation, sideWanted } from '../../../../../src/http/doors/tei/truncation.js';

const pair = { text: 'a', text_pair: 'b' };

test('a list of texts is one input, a list of lists is a batch', () => {
  expect(predicted('a', 2)).toEqual({ inputs: ['a'], isBatch: false });
  expect(predicted(['a'], 2)).toEqual({ inputs: ['a'], isBatch: false });
  expect(predicted(['a', 'b'], 2)).toEqual({ inputs: [pair], isBatch: false });
  const blank = { text: 'a', text_pair: '' };
  expect(predicted(['a', ''], 2)).toEqual({ inputs: [blank], isBatch: false });
  expect(predicted([['a'], ['a', 'b']], 2)).toEqual({ inputs: ['a', pair], isBatch: true });
});

test.each([
  [3, /inputs is a number/],
  [['a', 'b', 'c'], /inputs has 3 texts/],
  [[['a'], 'b'], /inputs\[1\] is a string/],
  [[['a'], []], /inputs\[1\] has 0 texts/],
  [['', ' '], /inputs\[0\] and inputs\[1\] are both empty/],
  [[['a'], [' ']], /inputs\[1\]\[0\] is empty/],
  [[['a'], ['b'], ['c']], /batch size 3 > maximum allowed batch size 2/],
  [[], EmptyBatch],
])('%j is refused', (inputs, message) => {
  expect(() => predicted(inputs, 2)).toThrow(message);
});

test('offsets count bytes, and special tokens have none', () => {
  const of = {
    ids: [1, 5, 6, 2],
    tokens: ['[CLS]', 'hä', '🎬', '[SEP]'],
    offsets: [0, 0, 0, 2, 2, 3, 0, 0],
  };
  const places = (all: readonly { start: number | null; stop: number | null }[]) =>
    all.map(({ start, stop }) => [start, stop]);
  const whole = [...teiTokens('hä🎬', of, true)];
  expect(places(whole)).toEqual([
    [null, null],
    [0, 3],
    [3, 7],
    [null, null],
  ]);
  expect(whole[2]).toMatchObject({ text: '🎬', special: false });
  expect([...teiTokens('hä🎬', of, false)]).toHaveLength(2);
});

test('places may go back, as the bytes of one character are several tokens of some vocabularies', () => {
  const of = {
    ids: [1, 2, 3, 4],
    tokens: ['🎬', '🎬', 'ä', '🎬ä'],
    offsets: [0, 1, 0, 1, 1, 2, 0, 2],
  };
  const found = [...teiTokens('🎬ä', of, true)].map(({ text, start, stop }) => [text, start, stop]);
  expect(found).toEqual([
    ['🎬', 0, 4],
    ['🎬', 0, 4],
    ['ä', 4, 6],
    ['🎬ä', 0, 6],
  ]);
});

test('a text that was cut is refused where the caller forbade it', () => {
  const cut = [false, true];
  expect(() => checkTruncation({}, cut, 8)).not.toThrow();
  expect(() => checkTruncation({ truncate: null }, cut, 8)).not.toThrow();
  expect(() => checkTruncation({ truncate: false }, [false], 8)).not.toThrow();
  expect(() => checkTruncation({ truncate: false }, cut, 8)).toThrow(/input 1 .* 8 tokens/);
});

test.each([
  [{}, undefined],
  [{ truncation_direction: 'Left' }, 'left'],
  [{ truncation_direction: 'left' }, 'left'],
  [{ truncation_direction: 'Right' }, 'right'],
] as const)('%j cuts at: %s', (body, side) => {
  expect(sideWanted(body)).toBe(side);
});

test.each([
  [new EmptyBatch('inputs'), 400, 'Empty'],
  [new PlimsollError('INVALID_INPUT', 'x'), 422, 'Validation'],
  [new PlimsollError('INVALID_REQUEST', 'x'), 422, 'Validation'],
  [new PlimsollError('MALFORMED_JSON', 'x'), 400, 'Validation'],
  [new PlimsollError('QUEUE_FULL', 'x'), 429, 'Overloaded'],
  [new PlimsollError('RATE_LIMITED', 'x'), 429, 'Overloaded'],
  [new PlimsollError('TOO_MANY_INPUTS', 'x'), 413, 'Validation'],
  [new PlimsollError('MODEL_UNUSABLE', 'x'), 424, 'Backend'],
  [new PlimsollError('TASK_NOT_SUPPORTED', 'x'), 424, 'Backend'],
  [new PlimsollError('SHUTTING_DOWN', 'x'), 503, 'Unhealthy'],
  [new PlimsollError('MODEL_NOT_FOUND', 'x'), 404, 'Validation'],
])('%s is %i %s', (error, status, type) => {
  expect(teiErrors.statusOf(error)).toBe(status);
  expect(teiErrors.bodyOf(error)).toMatchObject({ error_type: type });
});
