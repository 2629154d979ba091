import { describe, expect, test } from 'vitest';
import { recallBundles } from '../../../../src/inference/queue/recall.js';

/** @param recallTokens undefined: it has no bundle that can be recalled */
function holder(recallTokens: number | undefined, isRecalled = false) {
  const calls: string[] = [];
  const recall = () => calls.push('recalled');
  return { bundles: { recallTokens, isRecalled }, recall, calls };
}

describe('bundles are recalled', () => {
  test.each([
    ['nobody waits: none', 0, [0, 0, 0]],
    ['one caller: of the worker that is free the soonest', 1, [0, 1, 0]],
    ['two', 2, [1, 1, 0]],
    ['more than there are workers: all that have bundles', 9, [1, 1, 0]],
  ])('%s', (_what, wanted, expected) => {
    const workers = [holder(512), holder(30), holder(undefined)];
    recallBundles(workers, wanted);
    expect(workers.map(({ calls }) => calls.length)).toEqual(expected);
  });

  test('those that are coming back already count', () => {
    const workers = [holder(undefined, true), holder(100)];
    recallBundles(workers, 1);
    expect(workers.flatMap(({ calls }) => calls)).toEqual([]);
    recallBundles(workers, 2);
    expect(workers.map(({ calls }) => calls.length)).toEqual([0, 1]);
  });
});
