import { describe, expect, test } from 'vitest';
import { batchesOf, type ServingPlan } from '../../../../src/models/run/serving-plan.js';

const PLAN: ServingPlan = {
  ...{ inputs: [], output: 'logits', labelCount: 2, grouping: 'together', paddingSide: 'right' },
  ...{ padTokenId: 0, padTypeId: 0, positionOffset: 0 },
};

describe('rows of any lengths are batched by their tokens', () => {
  test('without bounds they all run together', () => {
    expect(batchesOf([5, 500], PLAN)).toEqual([[0, 1]]);
  });

  test('those of nearly equal length run together, each row once', () => {
    const lengths = [100, 12, 98, 256, 12, 99, 255];
    const batches = batchesOf(lengths, PLAN, { rows: 16, tokens: 512 });
    expect(batches).toEqual([
      [1, 4],
      [2, 5, 0],
      [6, 3],
    ]);
  });

  test.each([
    [{ rows: 2, tokens: 1000 }, [2, 2, 1]],
    [{ rows: 16, tokens: 30 }, [3, 2]],
    [{ rows: 16, tokens: 5 }, [1, 1, 1, 1, 1]],
  ])('within %o', (bounds, counts) => {
    const batches = batchesOf([10, 10, 10, 10, 10], PLAN, bounds);
    expect(batches.map((rows) => rows.length)).toEqual(counts);
  });

  test('pads stay below a twentieth of a batch', () => {
    const lengths = Array.from({ length: 64 }, (_, n) => 3 + ((n * 37) % 253));
    const batches = batchesOf(lengths, PLAN, { rows: 16, tokens: 4096 });
    expect(batches.flat().sort((a, b) => a - b)).toEqual(lengths.map((_, row) => row));
    for (const rows of batches) {
      const those = rows.map((row) => lengths[row] ?? 0);
      const padded = Math.max(...those) * those.length;
      const tokens = those.reduce((sum, each) => sum + each, 0);
      expect((padded - tokens) / padded).toBeLessThanOrEqual(0.05);
    }
  });

  test('what a graph forbids holds with bounds, too', () => {
    const bounds = { rows: 16, tokens: 512 };
    const alone = batchesOf([7, 7], { ...PLAN, grouping: 'one by one' }, bounds);
    expect(alone).toEqual([[0], [1]]);
    const two = batchesOf([7, 7, 7], { ...PLAN, fixedRows: 2 }, bounds);
    expect(two).toEqual([[0, 1], [2]]);
  });
});
