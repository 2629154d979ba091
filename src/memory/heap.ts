import { getHeapStatistics } from 'node:v8';
import { collectGarbage } from '../system/own-process.js';
import { readOwnMemory } from '../system/process-memory.js';
import type { StepOutcome } from './effects.js';

/**
 * Growth of the heap from which collecting all of it pays: a full collection stops every caller for
 * 10 to 20 ms. Below it the young generation alone is collected, in about a millisecond. With 4 MB here,
 * pages that the garbage had been spread over stayed half empty: 6 KB a session more over 600 sessions.
 */
const WORTH_A_FULL_COLLECTION_BYTES = 1024 * 1024;

let usedAfterLastBytes = 0;

/**
 * Collects garbage in the main process, and measures what came back.
 *
 * @param thoroughly all of it, however little there may be.
 */
export async function collectOwnHeap(thoroughly: boolean): Promise<readonly StepOutcome[]> {
  const before = await readOwnMemory();
  const grownBytes = getHeapStatistics().used_heap_size - usedAfterLastBytes;
  if (thoroughly || grownBytes > WORTH_A_FULL_COLLECTION_BYTES) {
    collectGarbage();
    usedAfterLastBytes = getHeapStatistics().used_heap_size;
  } else {
    collectGarbage('minor');
  }
  const after = await readOwnMemory();
  return [{ worker: 'main', freedBytes: before.privateBytes - after.privateBytes }];
}
