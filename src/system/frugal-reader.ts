import {
  type ProcessMemory,
  type ProcessStatus,
  privateBytesOf,
  readStatus,
} from './process-memory.js';

const GiB = 2 ** 30;
/** smaps_rollup walks every resident page: 64 to 69 ns each (Linux 6.18, 94 MB and 2.7 GB resident). */
const WALK_MS_PER_GIB = 18;
/** Share of one core that the walks may take. Readings that would exceed it are estimated from counts. */
const WALK_SHARE = 0.002;
/** A walk as short as this is always done: that of a process at rest. */
const SHORT_WALK_MS = 2;

/**
 * Reads the memory of one process repeatedly at a bounded cost. Reading smaps_rollup takes time in proportion to what is
 * mapped, and holds a lock of the process meanwhile: with 64 models mapped, reading it every second and around every
 * unload took a third of the machine. Private bytes and RSS, which the server acts on, are exact in every reading: they come
 * from counts that the kernel keeps. The shared part is walked as often as its size allows, and estimated in between.
 *
 * @typeParam M `ProcessMemory`, or undefined with it where the process may be gone.
 */
export class FrugalMemoryReader<M extends ProcessMemory | undefined> {
  readonly #pid: number | 'self';
  readonly #walk: () => Promise<M>;
  readonly #root: string;
  #exact: { readonly memory: ProcessMemory; readonly atMs: number } | undefined;

  /** @param walk reads smaps_rollup of the process, or a substitute for it. */
  constructor(pid: number | 'self', walk: () => Promise<M>, root = '/') {
    this.#pid = pid;
    this.#walk = walk;
    this.#root = root;
  }

  async read(): Promise<M | ProcessMemory> {
    const last = this.#exact;
    if (last?.memory.source === 'smaps_rollup') {
      const counted = countsOf(await readStatus(this.#pid, this.#root));
      if (counted !== undefined && !isWalkDue(counted.rssBytes, performance.now() - last.atMs)) {
        return putTogether(counted, last.memory);
      }
    }
    const memory = await this.#walk();
    if (memory !== undefined) this.#exact = { memory, atMs: performance.now() };
    return memory;
  }
}

/** Whether a process of this size may be walked `sinceMs` after the last time. */
export function isWalkDue(rssBytes: number, sinceMs: number): boolean {
  const walkMs = (rssBytes / GiB) * WALK_MS_PER_GIB;
  return walkMs <= SHORT_WALK_MS || walkMs <= sinceMs * WALK_SHARE;
}

interface Counts {
  readonly rssBytes: number;
  readonly privateBytes: number;
  readonly swapBytes: number;
}

function countsOf(status: ProcessStatus | undefined): Counts | undefined {
  const privateBytes = status && privateBytesOf(status);
  if (status === undefined || privateBytes === undefined) return undefined;
  const { anonymousBytes = 0, fileBytes = 0, sharedMemoryBytes = 0, swapBytes = 0 } = status;
  return { rssBytes: anonymousBytes + fileBytes + sharedMemoryBytes, privateBytes, swapBytes };
}

/** Private and RSS as counted now; what is mapped is divided into shared and own as it was at the last walk. */
function putTogether(
  { rssBytes, privateBytes, swapBytes }: Counts,
  last: ProcessMemory,
): ProcessMemory {
  const mapped = (rss: number, own: number, swap: number) => Math.max(0, rss - (own - swap));
  const wasMapped = mapped(last.rssBytes, last.privateBytes, last.swapBytes);
  const share = wasMapped === 0 ? 0 : mapped(rssBytes, privateBytes, swapBytes) / wasMapped;
  const ofMapped = Math.max(0, last.pssBytes - (last.privateBytes - last.swapBytes));
  return {
    rssBytes,
    pssBytes: privateBytes - swapBytes + ofMapped * share,
    privateBytes,
    sharedBytes: last.sharedBytes * share,
    privateCleanBytes: last.privateCleanBytes * share,
    swapBytes,
    source: 'status',
  };
}
