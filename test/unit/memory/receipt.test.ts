import { expect, test } from 'vitest';
import {
  freedBytes,
  freedPrivateBytes,
  newReceiptId,
  shownReceipt,
} from '../../../src/memory/receipt.js';
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

test('a receipt has its figures before and after, what came back and what was done', () => {
  const actions = [
    { action: 'unload_model', model: 'm', worker: 'w', durationMs: 1.00049, freedBytes: 2 ** 20 },
    { action: 'collect_garbage', durationMs: 2, freedBytes: -(2 ** 19) },
  ];
  expect(shownReceipt(receipt({ actions }))).toEqual({
    id: 'r_1',
    kind: 'cleanup',
    cause: 'session idle',
    session: 's_1',
    started_at: '2026-01-02T03:04:05.006Z',
    duration_ms: 12.346,
    before: {
      server_total_mb: 8000,
      server_used_mb: 1000,
      server_percent: 12.5,
      private_mb: 200,
      pss_mb: 210,
    },
    after: {
      server_total_mb: 8000,
      server_used_mb: 900,
      server_percent: 11.25,
      private_mb: 120,
      pss_mb: 130,
    },
    freed_mb: 100,
    freed_private_mb: 80,
    actions: [
      { action: 'unload_model', model: 'm', worker: 'w', duration_ms: 1, freed_mb: 1 },
      { action: 'collect_garbage', duration_ms: 2, freed_mb: -0.5 },
    ],
  });
});
