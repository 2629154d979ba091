import { getHeapStatistics } from 'node:v8';
import { FrugalMemoryReader } from '../system/frugal-reader.js';
import { readOwnMemory } from '../system/process-memory.js';
import { readSystem, type SystemReading } from '../system/reading.js';
import { type Pressure, pressureOf, type Strain } from './policy.js';
import { ProcessRing } from './process-ring.js';
import { ReadingRing, type RingReading } from './ring.js';
import { figuresOf, type MemorySnapshot, type ProcessReading } from './snapshot.js';

export interface ReaderOptions {
  /** The budget, from the total of the machine or the cgroup. */
  readonly loadLineBytes: (totalBytes: number) => number;
  readonly readChildren: () => Promise<readonly ProcessReading[]>;
  /** Told of every regular reading. */
  readonly onReading: (reading: RingReading) => void;
}

/** An hour at one reading a second. */
const RING_READINGS = 3600;
/** Half an hour. */
const PROCESS_READINGS = 1800;
/** A line at (nearly) all there is leaves no way to be over it: flooded then begins here. */
const FLOODED_SHARE_OF_TOTAL = 0.98;

/** Takes the readings, and keeps the newest and the rings of the last ones. */
export class MemoryReader {
  readonly ring = new ReadingRing(RING_READINGS);
  readonly processes = new ProcessRing(PROCESS_READINGS);
  readonly #options: ReaderOptions;
  readonly #onRead: () => void;
  readonly #own = new FrugalMemoryReader('self', readOwnMemory);
  #last: MemorySnapshot | undefined;
  #level: Pressure = 'normal';

  /** @param onRead called after every look, whoever asked for it: the level may be another one. */
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

  /** Looks at memory now. The main thread does not wait: files are read in the thread pool. */
  async read(): Promise<MemorySnapshot> {
    const [system, own, children] = await Promise.all([
      readSystem(),
      this.#own.read(),
      this.#options.readChildren(),
    ]);
    const main: ProcessReading = { role: 'main', pid: process.pid, memory: own };
    const snapshot = { atMs: Date.now(), system, processes: [main, ...children] };
    this.#level = pressureOf(this.#level, this.strain(snapshot));
    this.#last = snapshot;
    this.#onRead();
    return snapshot;
  }

  /** Puts a regular reading into the rings. */
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
    const load = loadBytes(system);
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
 * Memory in use that the kernel cannot drop at will. In a limited cgroup the working set still
 * counts recently used file pages, and so every mapped weight that was read lately; they are clean
 * and go when room is needed, so they are taken off. On a machine `MemAvailable` has done so.
 */
export function loadBytes(system: SystemReading): number {
  const { server, cgroup, source } = system;
  if (source !== 'cgroup' || cgroup === undefined) return server.usedBytes;
  return Math.max(0, cgroup.workingSetBytes - cgroup.activeFileBytes);
}
