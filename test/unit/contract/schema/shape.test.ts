import { expect, test } from 'vitest';
import { isEntity } from '../../../../src/contract/doors/entity.js';
import { isList, isNumber, isOneOf, orNull } from '../../../../src/contract/schema/shape.js';
import { readAnswer } from '../../../../src/inference/workers/read-answer.js';
import { handle } from '../../inference/workers/workers.js';

const ENTITY = { label: 'PER', score: 0.5, word: 'Ada', start: 0, end: 3 };

test('an entity has each of its fields, and may have more', () => {
  for (const entity of [ENTITY, { ...ENTITY, index: 1 }, { ...ENTITY, more: true }]) {
    expect(isEntity(entity)).toBe(true);
  }
  const { word: _, ...without } = ENTITY;
  const wrong = [
    { ...ENTITY, score: Number.NaN },
    { ...ENTITY, index: '1' },
    { ...ENTITY, end: null },
  ];
  for (const value of [without, ...wrong, null, 'PER', [ENTITY]]) {
    expect(isEntity(value)).toBe(false);
  }
});

test('lists, words and nulls are what they say', () => {
  expect([isList(isNumber)([]), isList(isNumber)([1, '2']), isList(isNumber)({})]).toEqual([
    ...[true, false, false],
  ]);
  expect([isOneOf(['a', 'b'])('b'), isOneOf(['a', 'b'])('c')]).toEqual([true, false]);
  expect([orNull(isNumber)(null), orNull(isNumber)(undefined)]).toEqual([true, false]);
});

test('an answer of a worker is read by the request that it answers', () => {
  const rows = [{ scores: [1], truncated: false }];
  const run = { rows, tokenizeMs: 1, runMs: 2 };
  const asked = {
    run: { type: 'run', model: 'm', inputs: ['a'] },
    ping: { type: 'ping' },
    load: { type: 'load', model: handle('m'), gear: 'cold' },
    collect: { type: 'collect' },
  } as const;
  expect(readAnswer(asked.run, run)).toBe(run);
  expect(readAnswer(asked.ping, null)).toBe(null);
  for (const [type, value] of [
    ['run', { ...run, rows: [] }],
    ['run', { ...run, rows: [{ scores: 1, truncated: false }] }],
    ['run', { ...run, rows: [{ scores: [], entities: [{}], truncated: false }] }],
    ['load', { freedBytes: 1 }],
    ['collect', null],
    ['ping', {}],
  ] as const) {
    expect(readAnswer(asked[type], value)).toBeUndefined();
  }
});
