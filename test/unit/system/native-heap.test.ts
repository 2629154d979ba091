import { expect, test } from 'vitest';
import { trimNativeHeap } from '../../../src/system/native-heap.js';
import { collectGarbage } from '../../../src/system/own-process.js';
import { readOwnMemory } from '../../../src/system/process-memory.js';

const BLOCKS = 20_000;
const BLOCK_BYTES = 3000;

function isGlibc(): boolean {
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return header?.glibcVersionRuntime !== undefined;
}

test('free pages below blocks that are still in use go back', async () => {
  expect(typeof trimNativeHeap()).toBe('boolean');
  let blocks = Array.from({ length: BLOCKS }, () => Buffer.allocUnsafeSlow(BLOCK_BYTES).fill(1));
  blocks = blocks.filter((_, at) => at % 100 === 0);
  // Twice: a thread of V8's frees the buffers, and the next collection waits for it.
  for (let count = 0; count < 2; count += 1) collectGarbage();
  const before = (await readOwnMemory()).privateBytes;
  const gave = trimNativeHeap();
  const after = (await readOwnMemory()).privateBytes;
  expect(gave).toBe(isGlibc());
  if (gave) expect(before - after).toBeGreaterThan((BLOCKS * BLOCK_BYTES) / 2);
  expect(blocks.every((block) => block.every((byte) => byte === 1))).toBe(true);
  expect(trimNativeHeap()).toBeTypeOf('boolean');
});
