import { expect, test } from 'vitest';
import { limitOf, spanOf } from '../../../../src/contract/schema/lists.js';

test('a span is in milliseconds, and open where it is not given', () => {
  const since = '2026-01-02T03:04:05.006Z';
  expect(spanOf({ since, limit: '7' })).toEqual({
    sinceMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
    untilMs: undefined,
    limit: 7,
  });
  expect(limitOf({})).toBe(100);
});
