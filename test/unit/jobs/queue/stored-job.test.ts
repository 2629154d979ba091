import { expect, test } from 'vitest';
import { storedJob } from '../../../../src/jobs/queue/engines/stored-job.js';

const request = { input: ['a.jsonl'], output: 'out' };
const ended = {
  ...{ id: 'j', request, state: 'done', createdAtMs: 1, startedAtMs: 2, endedAtMs: 3 },
  ...{ files: 1, planned: true, rows: 4, bad: 0, bytes: 5, bytesDone: 5 },
  shards: { waiting: 0, running: 0, done: 1, failed: 0 },
  ...{ model: { id: 'm', commit: null, dtype: 'fp32' }, manifest: 'out/manifest', error: null },
};
const row = (changes: { request?: unknown; ended?: unknown; createdAtMs?: number } = {}) => {
  const text = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
  return {
    ...{ id: 'j', createdAtMs: changes.createdAtMs ?? 1 },
    request: text(changes.request ?? request),
    ended: changes.ended === null ? null : text(changes.ended ?? ended),
  };
};

test('a job is read as it was written', () => {
  expect(storedJob(row())).toEqual({ id: 'j', request, createdAtMs: 1, ended });
  expect(storedJob(row({ ended: null }))).toMatchObject({ ended: null });
  expect(storedJob(row({ request: { input: 'a', output: 'b' } }))?.request.input).toBe('a');
});

test.each([
  ['a request that is no JSON', row({ request: '{"input' })],
  ['a request without an output', row({ request: { input: 'a' } })],
  ['a request whose inputs are numbers', row({ request: { input: [1], output: 'b' } })],
  ['a time that is none', row({ createdAtMs: Number.NaN })],
  ['an end that is no JSON', row({ ended: '{' })],
  ['an unknown state', row({ ended: { ...ended, state: 'lost' } })],
  ['shards that are not counted', row({ ended: { ...ended, shards: { done: 1 } } })],
])('what is no job is as good as none: %s', (_name, stored) => {
  expect(storedJob(stored)).toBeUndefined();
});
