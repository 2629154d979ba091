import { expect, onTestFinished, test } from 'vitest';
import { unlessAborted } from '../../../src/cache/abortable.js';

test('work that fails after its caller has left is no failure that nobody takes', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  process.on('unhandledRejection', note);
  onTestFinished(() => void process.off('unhandledRejection', note));
  const gone = new Error('the caller has left');
  for (const failing of [Promise.reject(new Error('at once')), later()]) {
    await expect(unlessAborted(failing, AbortSignal.abort(gone))).rejects.toBe(gone);
  }
  // Node tells of rejections after the turn in which they happened.
  for (let turns = 0; turns < 3; turns += 1) await new Promise((next) => setImmediate(next));
  expect(unhandled).toEqual([]);
});

async function later(): Promise<void> {
  await new Promise((next) => setImmediate(next));
  throw new Error('a turn later');
}
