import { expect, test } from 'vitest';
import { toInstant, toInstantOrNull, toMb, toMbOrNull, toMs } from '../../../src/contract/units.js';

test('MB are 2^20 bytes, and both they and milliseconds go to a thousandth', () => {
  expect(toMb(1.5 * 2 ** 20)).toBe(1.5);
  expect(toMb(1024)).toBe(0.001);
  expect(toMb(-(2 ** 20))).toBe(-1);
  expect(toMs(1.23456)).toBe(1.235);
});

test('times are dates; what is unknown stays so', () => {
  expect(toInstant(0)).toBe('1970-01-01T00:00:00.000Z');
  expect(toInstantOrNull(null)).toBeNull();
  expect(toInstantOrNull(undefined)).toBeNull();
  expect(toMbOrNull(undefined)).toBeNull();
  expect(toMbOrNull(0)).toBe(0);
});
