import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8';
import { trimNativeHeap } from '../../system/native-heap.js';
import { collectGarbage } from '../../system/own-process.js';
import { readOwnPrivateBytes } from '../../system/process-memory.js';
import type { StepOutcome } from '../effects.js';

/**
 * Heap growth that justifies a full collection, which stops every caller for 20 to 60 ms. Below it only the
 * young generation is collected, in about a millisecond. With 4 MB here, pages stayed half empty: 6 KB more
 * for each session over 600 sessions.
 */
const WORTH_A_FULL_COLLECTION_BYTES = 1024 * 1024;
/** The same while others are served: they would wait for it, and much of the garbage is theirs. It is a quick one then. */
const WORTH_STOPPING_OTHERS_BYTES = 16 * 1024 * 1024;

/** When to collect fully: always (`all`), if the heap has `grown`, or only for much garbage (`gently`). */
export type Thoroughness = 'all' | 'grown' | 'gently';

const WORTH_BYTES: Readonly<Record<Thoroughness, number>> = {
  all: Number.NEGATIVE_INFINITY,
  grown: WORTH_A_FULL_COLLECTION_BYTES,
  gently: WORTH_STOPPING_OTHERS_BYTES,
};

/**
 * Size of the young generation that is worth shrinking. It is 4 MB after a busy session, and V8 keeps it until told
 * that memory is short: 3 MB less at rest. That takes three full collections, so not while others are served.
 */
const WORTH_SHRINKING_BYTES = 2 * 1024 * 1024;

let usedAfterLastBytes = 0;

/** Collects garbage in the main process, and measures what that freed. */
export async function collectOwnHeap(thoroughness: Thoroughness): Promise<readonly StepOutcome[]> {
  const before = await readOwnPrivateBytes();
  const grownBytes = getHeapStatistics().used_heap_size - usedAfterLastBytes;
  const isAlone = thoroughness !== 'gently';
  const isWide = isAlone && youngRoomBytes() > WORTH_SHRINKING_BYTES;
  if (isWide || grownBytes > WORTH_BYTES[thoroughness]) {
    collectGarbage(isWide ? 'thorough' : isAlone ? 'full' : 'quick');
    usedAfterLastBytes = getHeapStatistics().used_heap_size;
  } else {
    collectGarbage('minor');
  }
  // Others would wait for the trim too, and fault the same pages in again at once.
  if (isAlone) trimNativeHeap();
  const after = await readOwnPrivateBytes();
  return [{ worker: 'main', freedBytes: before - after }];
}

/** Bytes of the young generation, in use or not. */
function youngRoomBytes(): number {
  let bytes = 0;
  for (const { space_name: space, physical_space_size: size } of getHeapSpaceStatistics()) {
    if (space === 'new_space') bytes += size;
  }
  return bytes;
}
