import { getHeapStatistics } from 'node:v8';
import { expect, test } from 'vitest';
import { collectOwnHeap } from '../../../src/memory/heap.js';
import { collectGarbage } from '../../../src/system/own-process.js';

const MB = 2 ** 20;
const usedMb = () => getHeapStatistics().used_heap_size / MB;

/** Garbage of about 8 MB that is old: it has outlived collections of the young generation. */
function leaveGarbage(): void {
  const large = Array.from({ length: 2 ** 20 }, (_, index) => index);
  for (let count = 0; count < 2; count += 1) collectGarbage('minor');
  if (large.length === 0) throw new Error('it has to be made');
}

test('while others are served, old garbage waits for the next time that nobody is', async () => {
  await collectOwnHeap('all');
  const restMb = usedMb();
  leaveGarbage();
  await collectOwnHeap('gently');
  expect(usedMb() - restMb).toBeGreaterThan(6);
  const [outcome] = await collectOwnHeap('grown');
  expect(usedMb() - restMb).toBeLessThan(3);
  expect(outcome?.worker).toBe('main');
});

test('what has grown very much is collected even then', async () => {
  await collectOwnHeap('all');
  const restMb = usedMb();
  for (let count = 0; count < 3; count += 1) leaveGarbage();
  await collectOwnHeap('gently');
  expect(usedMb() - restMb).toBeLessThan(3);
});
