import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Receipt } from '../../../src/memory/receipt.js';
import type { ProcessReading } from '../../../src/memory/snapshot.js';
import { manage } from './managers.js';

/** Pause after a replacement that failed. */
const PAUSE_MS = 30_000;
const NO_START = new Error('exit code 3');
const FAILED = 'failed: replace_worker: exit code 3';

/** The clock stands still; timers and the kernel's files go on. */
function stopClock(): void {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
}

const actionsOf = (receipt: Receipt | undefined) =>
  receipt?.actions.map(({ action, worker }) => [action, worker]);

describe('a recycle of which one worker cannot be replaced', () => {
  it('replaces the others, and its receipt says what failed', async () => {
    const { manager, effects, receipts, errors } = manage({ workerCount: 3 });
    effects.replaceWorker.mockRejectedValueOnce(NO_START);
    const receipt = await manager.recycle('asked for');
    expect(receipts).toEqual([receipt]);
    expect(actionsOf(receipt)).toEqual([
      ['clear_caches', undefined],
      [FAILED, 'worker-1'],
      ['replace_worker', 'worker-2'],
      ['replace_worker', 'worker-3'],
      ['collect_garbage', 'main'],
    ]);
    expect(errors).toEqual([NO_START]);
  });

  it('stays due, and is tried again after a pause, not with every user', async () => {
    stopClock();
    const { manager, effects, receipts } = manage({ workerCount: 2, afterUsers: 3 });
    effects.replaceWorker.mockRejectedValueOnce(NO_START);
    for (let user = 1; user <= 3; user += 1) manager.countUser();
    await vi.waitFor(() => expect(receipts).toHaveLength(1));
    await vi.waitFor(() => expect(manager.usersSinceRecycle).toBe(3));
    for (let user = 1; user <= 3; user += 1) manager.countUser();
    expect(effects.clearCaches).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(PAUSE_MS);
    manager.countUser();
    await vi.waitFor(() => expect(receipts).toHaveLength(2));
    expect(receipts[1]).toMatchObject({ kind: 'recycle', cause: '7 users' });
    expect(manager.usersSinceRecycle).toBe(0);
  });
});

describe('a worker that is too old and cannot be replaced', () => {
  it('is tried again after a pause, not at every reading', async () => {
    const { manager, effects, receipts, errors } = manage({ afterAgeMs: 5, models: [] });
    effects.replaceWorker.mockRejectedValue(NO_START);
    await manager.start();
    await vi.waitFor(() => expect(errors).toHaveLength(1));
    expect(receipts.map(actionsOf)).toEqual([[[FAILED, 'worker-1']]]);
    const { length } = manager.reader.ring.since(0);
    await vi.waitFor(() => expect(manager.reader.ring.since(0).length).toBeGreaterThan(length + 3));
    expect(effects.replaceWorker).toHaveBeenCalledTimes(1);
    // Whoever asks for it is told.
    await expect(manager.recycleWorker('worker-1')).rejects.toBe(NO_START);
  });
});

describe('an action against pressure that fails', () => {
  it('counts as taken, and the next ones follow', async () => {
    const memory = { privateBytes: 1000, pssBytes: 1000, rssBytes: 1000, swapBytes: 0 };
    const child = { role: 'worker', worker: 'worker-1', pid: 1, memory } as const;
    const { manager, effects, receipts, errors, held } = manage({
      lineBytes: 1000,
      readChildren: async () => [child as unknown as ProcessReading],
    });
    effects.replaceWorker.mockRejectedValue(NO_START);
    await manager.start();
    await vi.waitFor(() => expect(held).toHaveLength(2), 10_000);
    const { length } = manager.reader.ring.since(0);
    await vi.waitFor(() => expect(manager.reader.ring.since(0).length).toBeGreaterThan(length + 3));
    expect(effects.replaceWorker).toHaveBeenCalledTimes(1);
    expect(errors).toEqual([NO_START]);
    const failed = receipts.find(({ cause }) => cause.endsWith('recycle_fattest_idle_worker'));
    expect(failed?.actions.map(({ action }) => action)).toEqual([
      'failed: recycle_fattest_idle_worker: exit code 3',
    ]);
  });
});
