import { getHeapStatistics } from 'node:v8';
import { FrugalMemoryReader } from '../system/frugal-reader.js';
import { SharedRun } from '../system/one-at-a-time.js';
import { readOwnMemory } from '../system/process-memory.js';
import { readSystem } from '../system/reading.js';
import { withinTime } from '../system/time-limit.js';
import { type Pressure, pressureOf, type Strain } from './policy.js';
import { ProcessRing } from './process-ring.js';
import { ReadingRing, type RingReading } from './ring.js';
import { figuresOf, type MemorySnapshot, type ProcessReading } from './snapshot.js';

/** What counts as load: `memory.load_of`. */
export type LoadOf = 'machine' | 'server';

export interface ReaderOptions {
  /** By default all that is in use on the machine. */
  readonly loadOf?: LoadOf;
  /** The budget for this total of the machine or cgroup. */
  readonly loadLineBytes: (totalBytes: number) => number;
  /** Folder in place of `/` for the files of machine and cgroup. */
  readonly systemRoot?: string;
  readonly readChildren: () => Promise<readonly ProcessReading[]>;
  /** Called for every regular reading. */
  readonly onReading: (reading: RingReading) => void;
}

/** An hour at one reading a second. */
const RING_READINGS = 3600;
/** Half an hour. */
const PROCESS_READINGS = 1800;
/** Flooded begins here at the latest: a line near the total leaves no room above it. */
const FLOODED_SHARE_OF_TOTAL = 0.98;

/** A file of the kernel can hang with the process it describes; no other reading begins before that has ended. */
const READING_TIMEOUT_MS = 5000;

/** Takes readings, and keeps the newest and rings of the last ones. */
export class MemoryReader {
  readonly ring = new ReadingRing(RING_READINGS);
  readonly processes = new ProcessRing(PROCESS_READINGS);
  readonly #options: ReaderOptions;
  readonly #onRead: () => void;
  readonly #own = new FrugalMemoryReader('self', readOwnMemory);
  readonly #files = new SharedRun(() => this.#readFiles());
  #last: MemorySnapshot | undefined;
  #level: Pressure = 'normal';

  /** @param onRead called after every reading, as the level may have changed. */
  constructor(options: ReaderOptions, onRead: () => void) {
    this.#options = options;
    this.#onRead = onRead;
  }

  get last(): MemorySnapshot | undefined {
    return this.#last;
  }

  get level(): Pressure {
    return this.#level;
  }

  loadLineBytes(snapshot: MemorySnapshot): number {
    return this.#options.loadLineBytes(snapshot.system.server.totalBytes);
  }

  /** What counts against the line. */
  loadBytes(snapshot: MemorySnapshot): number {
    return loadBytes(snapshot, this.#options.loadOf);
  }

  /**
   * Reads memory now. Files are read in the thread pool, so the main thread is not blocked.
   *
   * @throws TimeLimitError if that does not end in time.
   */
  async read(): Promise<MemorySnapshot> {
    const files = this.#files.run();
    const [system, own, children] = await withinTime(files, READING_TIMEOUT_MS, 'reading memory');
    const main: ProcessReading = { role: 'main', pid: process.pid, memory: own };
    const snapshot = { atMs: Date.now(), system, processes: [main, ...children] };
    this.#level = pressureOf(this.#level, this.strain(snapshot));
    this.#last = snapshot;
    this.#onRead();
    return snapshot;
  }

  #readFiles() {
    const { systemRoot, readChildren } = this.#options;
    return Promise.all([readSystem(systemRoot), this.#own.read(), readChildren()]);
  }

  /** Adds a regular reading to the rings. */
  keep(snapshot: MemorySnapshot): void {
    const reading = {
      atMs: snapshot.atMs,
      ...figuresOf(snapshot),
      loadLineBytes: this.loadLineBytes(snapshot),
      pressure: ['normal', 'elevated', 'critical'].indexOf(this.#level),
    };
    this.ring.push(reading);
    this.processes.push(snapshot);
    this.#options.onReading(reading);
  }

  strain(snapshot: MemorySnapshot): Strain {
    const { system } = snapshot;
    const line = this.loadLineBytes(snapshot);
    const { totalBytes } = system.server;
    const load = this.loadBytes(snapshot);
    const heap = getHeapStatistics();
    const floodedFrom = Math.min(totalBytes * FLOODED_SHARE_OF_TOTAL, (line + totalBytes) / 2);
    const pressure = system.pressure.cgroup ?? system.pressure.machine;
    return {
      lineShare: load / line,
      heapShare: heap.used_heap_size / heap.heap_size_limit,
      stallPercent: pressure?.some.avg10 ?? 0,
      flooded: load >= floodedFrom,
    };
  }
}

/**
 * Memory in use that the kernel cannot drop.
 *
 * 1. Where servers divide a machine, what our own processes hold, with their share of what they share: mapped weights that
 *    three servers use count a third for each.
 * 2. In a bounded cgroup its working set, less recently used file pages, such as mapped weights: they are clean.
 * 3. Where nothing says what is available, what our own processes hold. The runtime knows free pages alone, and a
 *    machine that has run for a while has few: page cache would count as load, and callers be refused for it.
 * 4. On a machine total − available, which leaves file pages out already.
 */
export function loadBytes(
  { system, processes }: Pick<MemorySnapshot, 'system' | 'processes'>,
  of: LoadOf = 'machine',
): number {
  if (of === 'server') {
    return processes.reduce((sum, { memory }) => sum + memory.pssBytes, 0); // 1
  }
  const { server, cgroup, source } = system;
  if (source === 'cgroup' && cgroup !== undefined) {
    return Math.max(0, cgroup.workingSetBytes - cgroup.activeFileBytes); // 2
  }
  if (source === 'runtime') {
    return processes.reduce((sum, { memory }) => sum + memory.privateBytes, 0); // 3
  }
  return server.usedBytes; // 4
}
