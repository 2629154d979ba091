import { expect, test } from 'vitest';
import { Places, SharedRun } from '../../../src/system/one-at-a-time.js';

interface Begun {
  readonly end: (value: number) => void;
  readonly fail: (error: Error) => void;
}

/** Work that ends when the test says so. */
function work() {
  const begun: Begun[] = [];
  const run = () =>
    new Promise<number>((resolve, reject) => begun.push({ end: resolve, fail: reject }));
  return { begun, run };
}

test('who comes while a run is under way shares the next one, which sees what happened meanwhile', async () => {
  const { begun, run } = work();
  const shared = new SharedRun(run);
  const first = shared.run();
  const later = [shared.run(), shared.run()];
  expect(begun).toHaveLength(1);
  begun[0]?.end(1);
  expect(await first).toBe(1);
  await Promise.resolve();
  expect(begun).toHaveLength(2);
  begun[1]?.end(2);
  expect(await Promise.all(later)).toEqual([2, 2]);
  const again = shared.run();
  begun[2]?.end(3);
  expect(await again).toBe(3);
});

test('a run that fails does so for its own callers', async () => {
  const { begun, run } = work();
  const shared = new SharedRun(run);
  const first = shared.run();
  const second = shared.run();
  begun[0]?.fail(new Error('no'));
  await expect(first).rejects.toThrow('no');
  begun[1]?.end(2);
  expect(await second).toBe(2);
});

test('work takes the places in the order in which it came, and gives them back when it fails', async () => {
  const { begun, run } = work();
  const places = new Places(2);
  const all = Array.from({ length: 4 }, () => places.run(run));
  expect(begun).toHaveLength(2);
  begun[0]?.fail(new Error('no'));
  await expect(all[0]).rejects.toThrow('no');
  expect(begun).toHaveLength(3);
  for (const { end } of begun.slice(1)) end(1);
  await all[1];
  await all[2];
  begun[3]?.end(4);
  expect(await all[3]).toBe(4);
});
