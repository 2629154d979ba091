import { expect, test } from 'vitest';
import { freedBytes, freedPrivateBytes, newReceiptId } from '../../../src/memory/receipt.js';
import { figures, receipt } from './receipts.js';

const MB = 2 ** 20;

test('what came back is before less after', () => {
  expect(freedBytes(receipt())).toBe(100 * MB);
  expect(freedPrivateBytes(receipt())).toBe(80 * MB);
});

test('what grew meanwhile is negative, not nothing', () => {
  const grown = receipt({ before: figures(900, 100), after: figures(950, 130) });
  expect(freedBytes(grown)).toBe(-50 * MB);
  expect(freedPrivateBytes(grown)).toBe(-30 * MB);
});

test('ids sort by time and are never the same twice', () => {
  const times = [1_700_000_000_000, 1_700_000_000_001, 1_800_000_000_000, 2_500_000_000_000];
  const ids = times.map(newReceiptId);
  expect([...ids].sort()).toEqual(ids);
  expect(new Set(Array.from({ length: 1000 }, () => newReceiptId(1))).size).toBe(1000);
});
