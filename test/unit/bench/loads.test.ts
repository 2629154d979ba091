import { describe, expect, test } from 'vitest';
import { NotMeasuredError } from '../../../bench/harness/checks.js';
import { failedRequest } from '../../../bench/harness/load.js';
import { ratePerSecond } from '../../../bench/harness/users/closed-users.js';
import { splitByReceipts } from '../../../bench/memory/recycle-spans.js';

describe('the rate of a load', () => {
  test('is of the time from the first answer to the last', () => {
    const every20Ms = Array.from({ length: 101 }, (_, n) => 5000 + 20 * n);
    expect(ratePerSecond(every20Ms)).toBe(50);
  });

  test.each([
    ['none', []],
    ['one', [5]],
    ['too few', [1, 2, 3]],
    ['all at one moment', Array.from({ length: 30 }, () => 7)],
  ])('is not measured with %s', (_what, answeredAtMs) => {
    expect(() => ratePerSecond(answeredAtMs)).toThrow(/of 20 that a rate needs/);
  });
});

test.each([
  ['503 {"error":{"code":"QUEUE_FULL"}}', true],
  ['504 {"error":{"code":"DEADLINE_EXCEEDED"}}', true],
  ['0 timeout', true],
  ['500 {"error":{"code":"INTERNAL"}}', false],
  ['0 the connection was closed', false],
  ['404 ', false],
])('a failure %j is of a busy machine: %s', (failure, isBusy) => {
  expect(failedRequest(failure) instanceof NotMeasuredError).toBe(isBusy);
});

test('requests are split by whether they overlap a recycle', () => {
  const at = Date.parse('2026-01-02T03:04:05.000Z');
  const receipts = [{ started_at: '2026-01-02T03:04:05.000Z', duration_ms: 1000 }];
  const replies = [
    { sentAtMs: at - 50, ms: 49 },
    { sentAtMs: at - 50, ms: 50 },
    { sentAtMs: at + 500, ms: 1 },
    { sentAtMs: at + 1000, ms: 2 },
    { sentAtMs: at + 1001, ms: 3 },
    { sentAtMs: at - 10, ms: 5000 },
  ];
  expect(splitByReceipts(replies, receipts)).toEqual({
    during: [50, 1, 2, 5000],
    outside: [49, 3],
  });
});
