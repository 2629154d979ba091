import { expect, test } from 'vitest';
import { classifiedOf, eventRow, UserHashes, userRow } from '../../../../src/app/archive/rows.js';
import { RowBuffer } from '../../../../src/store/row-buffer.js';
import { rowOf } from '../../../../src/store/rows.js';

const ANSWER = {
  model: 'org/model',
  session: 's_1',
  user: 'ann@example.org',
  results: [[{ label: 'spam', score: 0.75 }], [{ label: 'ham', score: 0.5 }]],
  truncated: [false, false],
  cached: [false, 'redis'],
  inputHashes: ['h1', 'h2'],
  timing: { queueMs: 0, tokenizeMs: 0, runMs: 0 },
} as const;

test('an answer becomes a row for each input, its values under their columns', () => {
  const inputs = ['a\0b', 'c'];
  const answered = {
    answer: ANSWER,
    best: (index: number) => ANSWER.results[index]?.[0],
    inputOf: (index: number) => inputs[index] ?? '',
    tookMs: 1.23456,
  };
  const of = { run: 'run', request: 37, atMs: 17, userHash: 'u' };
  const rows = (keepText: boolean) => {
    const buffer = new RowBuffer();
    classifiedOf(answered, { ...of, keepText }, (one) => buffer.pushClassified(one));
    return buffer.first(10);
  };
  const same = { at_ms: 17, session: 's_1', user_hash: 'u', model: 'org/model', ms: 1.235 };
  const first = {
    id: 'run.0000011.0000',
    input_hash: 'h1',
    label: 'spam',
    score: 0.75,
    tier: null,
  };
  const second = {
    id: 'run.0000011.0001',
    input_hash: 'h2',
    label: 'ham',
    score: 0.5,
    tier: 'redis',
  };
  expect(rows(true)).toEqual([
    rowOf('records', { ...same, ...first, input: 'a\uFFFDb' }),
    rowOf('records', { ...same, ...second, input: 'c' }),
  ]);
  expect(rows(false)).toEqual([
    rowOf('records', { ...same, ...first, input: null }),
    rowOf('records', { ...same, ...second, input: null }),
  ]);
});

test('a user has one hash under one secret, also when many came between', () => {
  const hashes = new UserHashes('secret');
  const first = hashes.of('ann@example.org');
  expect(first).toMatch(/^[\w-]{22}$/);
  for (let n = 0; n < 1000; n += 1) expect(hashes.of(`user-${n}`)).not.toBe(first);
  expect(hashes.of('ann@example.org')).toBe(first);
  expect(new UserHashes('another').of('ann@example.org')).not.toBe(first);
  expect(userRow('s_1', first, 5).values[0]).toBe(`s_1.${first}`);
});

test('an event has only what it is about', () => {
  const event = { kind: 'model_loaded', text: 'opened', model: 'spam' };
  expect(eventRow(event, 'run.2', 5, 'server')).toEqual(
    rowOf('events', {
      ...{ id: 'run.2', at_ms: 5, server: 'server', kind: 'model_loaded', text: 'opened' },
      model: 'spam',
    }),
  );
});
