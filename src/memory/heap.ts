import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8';
import { trimNativeHeap } from '../system/native-heap.js';
import { collectGarbage } from '../system/own-process.js';
import { readOwnPrivateBytes } from '../system/process-memory.js';
import type { StepOutcome } from './effects.js';

/**
 * Growth of the heap from which collecting all of it pays: a full collection stops every caller for
 * 10 to 20 ms. Below it the young generation alone is collected, in about a millisecond. With 4 MB here,
 * pages that the garbage had been spread over stayed half empty: 6 KB a session more over 600 sessions.
 */
const WORTH_A_FULL_COLLECTION_BYTES = 1024 * 1024;
/** The same while others are served: they pay for it with their waiting, and their garbage is not this session's. */
const WORTH_STOPPING_OTHERS_BYTES = 16 * 1024 * 1024;

/**
 * How much is collected: `all`, however little there may be; what has `grown` enough to be worth the stop; or `gently`,
 * while others are served.
 */
export type Thoroughness = 'all' | 'grown' | 'gently';

const WORTH_BYTES: Readonly<Record<Thoroughness, number>> = {
  all: Number.NEGATIVE_INFINITY,
  grown: WORTH_A_FULL_COLLECTION_BYTES,
  gently: WORTH_STOPPING_OTHERS_BYTES,
};

/**
 * Room for young objects from which giving it back pays. It is 4 MB after a busy session, and V8 keeps it until it is told
 * that memory is short: 3 MB less at rest. That stops the process for three full collections, so not while others
 * are served.
 */
const WORTH_SHRINKING_BYTES = 2 * 1024 * 1024;

let usedAfterLastBytes = 0;

/** Collects garbage in the main process, and measures what came back. */
export async function collectOwnHeap(thoroughness: Thoroughness): Promise<readonly StepOutcome[]> {
  const before = await readOwnPrivateBytes();
  const grownBytes = getHeapStatistics().used_heap_size - usedAfterLastBytes;
  const isAlone = thoroughness !== 'gently';
  const isWide = isAlone && youngRoomBytes() > WORTH_SHRINKING_BYTES;
  if (isWide || grownBytes > WORTH_BYTES[thoroughness]) {
    collectGarbage(isWide ? 'thorough' : 'full');
    usedAfterLastBytes = getHeapStatistics().used_heap_size;
  } else {
    collectGarbage('minor');
  }
  // Others would wait for it too, and take the same pages again at once.
  if (isAlone) trimNativeHeap();
  const after = await readOwnPrivateBytes();
  return [{ worker: 'main', freedBytes: before - after }];
}

/** Memory that V8 has for young objects, in use or not. */
function youngRoomBytes(): number {
  let bytes = 0;
  for (const { space_name: space, physical_space_size: size } of getHeapSpaceStatistics()) {
    if (space === 'new_space') bytes += size;
  }
  return bytes;
}
