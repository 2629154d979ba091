import type { ProcessReadings } from '../contract/state/memory.js';
import { toMb } from '../contract/units.js';
import type { MemorySnapshot, ProcessReading } from './snapshot.js';

/** One process at one reading. */
export interface ProcessMoment {
  readonly name: string;
  readonly privateBytes: number;
  /** PSS minus private bytes: its fair share of shared pages. */
  readonly sharedBytes: number;
}

export interface ProcessesReading {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly processes: readonly ProcessMoment[];
}

/** Processes kept for each reading; the rest are summed up in the last slot. */
const SLOTS = 12;
const FIELDS = 3;
const KB = 1024;
const MAIN = 1;
const OTHERS = 2;
/** Codes: a worker is this plus its number, a preparer its negative process id, an empty slot 0. */
const FIRST_WORKER = 3;

/** Memory by process over the last readings, for charts. Allocated once, 156 bytes a reading. */
export class ProcessRing {
  readonly #times: Float64Array;
  readonly #values: Float32Array;
  readonly #capacity: number;
  #count = 0;

  /** @param capacity readings that are kept. */
  constructor(capacity: number) {
    this.#capacity = capacity;
    // Touch every page now; later it would look like growth.
    this.#times = new Float64Array(capacity).fill(-1);
    this.#values = new Float32Array(capacity * SLOTS * FIELDS).fill(-1);
  }

  push({ atMs, processes }: MemorySnapshot): void {
    const place = this.#count % this.#capacity;
    this.#times[place] = atMs;
    const start = place * SLOTS * FIELDS;
    this.#values.fill(0, start, start + SLOTS * FIELDS);
    for (const [index, reading] of processes.entries()) {
      const isApart = index < SLOTS - 1 || processes.length <= SLOTS;
      const at = start + Math.min(index, SLOTS - 1) * FIELDS;
      this.#values[at] = isApart ? codeOf(reading) : OTHERS;
      this.#add(at + 1, reading.memory.privateBytes);
      this.#add(at + 2, sharedBytesOf(reading));
    }
    this.#count += 1;
  }

  /** The readings since a time, oldest first. */
  since(atMs: number): readonly ProcessesReading[] {
    const kept = Math.min(this.#count, this.#capacity);
    const readings: ProcessesReading[] = [];
    for (let turn = this.#count - kept; turn < this.#count; turn += 1) {
      const place = turn % this.#capacity;
      const time = this.#times[place] ?? 0;
      if (time >= atMs) readings.push({ atMs: time, processes: this.#processesAt(place) });
    }
    return readings;
  }

  #add(at: number, bytes: number): void {
    this.#values[at] = (this.#values[at] ?? 0) + bytes / KB;
  }

  #processesAt(place: number): readonly ProcessMoment[] {
    const moments: ProcessMoment[] = [];
    for (let slot = 0; slot < SLOTS; slot += 1) {
      const at = (place * SLOTS + slot) * FIELDS;
      const [code = 0, privateKb = 0, sharedKb = 0] = this.#values.subarray(at, at + FIELDS);
      if (code === 0) break;
      const [privateBytes, sharedBytes] = [privateKb * KB, sharedKb * KB];
      moments.push({ name: nameFrom(code), privateBytes, sharedBytes });
    }
    return moments;
  }
}

/** Name of a process on the page. */
export function processName({ role, worker, pid }: ProcessReading): string {
  return worker ?? (role === 'main' ? role : `${role}-${pid}`);
}

/** Defined so that private and shared bytes of all processes add up to their total. */
export function sharedBytesOf({ memory }: ProcessReading): number {
  return Math.max(0, memory.pssBytes - memory.privateBytes);
}

/** Float32 holds integers up to 16 million exactly; worker numbers and process ids stay below. */
function codeOf({ role, worker, pid }: ProcessReading): number {
  if (role === 'main') return MAIN;
  if (role === 'preparer') return -pid;
  const number = Number(/\d+$/.exec(worker ?? '')?.[0] ?? 0);
  return FIRST_WORKER + number;
}

function nameFrom(code: number): string {
  if (code === MAIN) return 'main';
  if (code === OTHERS) return 'others';
  return code < 0 ? `preparer-${-code}` : `worker-${code - FIRST_WORKER}`;
}

/** Readings by process as callers see them: names once, as there are few of them in many readings. */
export function shownProcesses(readings: readonly ProcessesReading[]): ProcessReadings {
  const names = new Map<string, number>();
  const indexOf = (name: string) => {
    const known = names.get(name) ?? names.size;
    names.set(name, known);
    return known;
  };
  const rows = readings.map(({ atMs, processes }) => ({
    at_ms: atMs,
    processes: processes.map(
      ({ name, privateBytes, sharedBytes }) =>
        [indexOf(name), toMb(privateBytes), toMb(sharedBytes)] as const,
    ),
  }));
  return { names: [...names.keys()], readings: rows };
}
