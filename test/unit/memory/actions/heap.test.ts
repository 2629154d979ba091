import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8';
import { expect, test } from 'vitest';
import { collectOwnHeap } from '../../../../src/memory/actions/heap.js';
import { collectGarbage } from '../../../../src/system/own-process.js';

const MB = 2 ** 20;
const usedMb = () => getHeapStatistics().used_heap_size / MB;

/** Garbage of about 8 MB that is old: it has outlived collections of the young generation. */
function leaveGarbage(): void {
  const large = Array.from({ length: 100_000 }, (_, index) => ({ index, list: [index] }));
  for (let count = 0; count < 2; count += 1) collectGarbage('minor');
  if (large.at(-1)?.list.length !== 1) throw new Error('it has to be made');
}

/**
 * 128 MB that stay, so that V8 lets some tens of MB grow old before it collects by itself; in a small heap,
 * after a thorough collection, it does so with the first few.
 */
const held = new Array<number>(16 * 2 ** 20).fill(1);

async function restedMb(): Promise<number> {
  for (let count = 0; count < 2; count += 1) await collectOwnHeap('all');
  if (held.at(-1) !== 1) throw new Error('it has to be held');
  return usedMb();
}

test('while others are served, old garbage waits for the next time that nobody is', async () => {
  const restMb = await restedMb();
  leaveGarbage();
  await collectOwnHeap('gently');
  expect(usedMb() - restMb).toBeGreaterThan(6);
  const [outcome] = await collectOwnHeap('grown');
  expect(usedMb() - restMb).toBeLessThan(3);
  expect(outcome?.worker).toBe('main');
});

test('what has grown very much is collected even then', async () => {
  const restMb = await restedMb();
  for (let count = 0; count < 3; count += 1) leaveGarbage();
  await collectOwnHeap('gently');
  expect(usedMb() - restMb).toBeLessThan(3);
});

test('the room for young objects goes back when nobody is served, and stays while others are', async () => {
  makeYoung();
  const busyMb = youngRoomMb();
  await collectOwnHeap('gently');
  expect(youngRoomMb()).toBe(busyMb);
  await collectOwnHeap('grown');
  expect(youngRoomMb()).toBeLessThan(busyMb / 2);
});

/** Lets the young generation grow: what lives through a collection makes it larger. */
function makeYoung(): void {
  let kept: unknown[] = [];
  for (let index = 0; index < 1_000_000; index += 1) {
    kept.push([index]);
    if (kept.length > 20_000) kept = [];
  }
}

function youngRoomMb(): number {
  const space = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space');
  return (space?.physical_space_size ?? 0) / MB;
}
