import { type CgroupMemory, CgroupMemoryReader } from './cgroup/cgroup.js';
import { boundOf } from './cgroup/cgroup-limits.js';
import { type MachineMemory, readMachineMemory } from './machine-memory.js';
import { type MemoryPressure, readCgroupPressure, readPressure } from './pressure.js';

/** The memory that the server has to live in: the machine's, or its cgroup's where that is less (limit or high). */
export interface ServerMemory {
  /** The smallest of the machine's total, the cgroup's limit and its high. */
  readonly totalBytes: number;
  /** In a limited cgroup its working set, else the machine's total − available. */
  readonly usedBytes: number;
  /** used ÷ total × 100, not rounded. */
  readonly percent: number;
}

/** One snapshot of the memory around us; nothing in it is decided or smoothed. */
export interface SystemReading {
  /** Unix time in milliseconds, taken when the files had been read. */
  readonly atMs: number;
  readonly server: ServerMemory;
  /** Absent where we are in no memory cgroup that can be seen. */
  readonly cgroup?: CgroupMemory;
  readonly machine: MachineMemory;
  /** Each absent where the kernel does not give it. `cgroup` is that of our own v2 cgroup. */
  readonly pressure: { readonly machine?: MemoryPressure; readonly cgroup?: MemoryPressure };
  /** Where the `server` figures come from. */
  readonly source: 'cgroup' | MachineMemory['source'];
}

/** Joins machine and cgroup. A bound at or above the machine's total bounds nothing. */
export function serverMemory(
  machine: MachineMemory,
  cgroup: CgroupMemory | undefined,
): { readonly server: ServerMemory; readonly source: SystemReading['source'] } {
  const boundBytes = cgroup && boundOf(cgroup);
  if (boundBytes !== undefined && boundBytes < machine.totalBytes) {
    return { server: shareOf(boundBytes, cgroup?.workingSetBytes ?? 0), source: 'cgroup' };
  }
  const usedBytes = Math.max(0, machine.totalBytes - machine.availableBytes);
  return { server: shareOf(machine.totalBytes, usedBytes), source: machine.source };
}

function shareOf(totalBytes: number, usedBytes: number): ServerMemory {
  // A limit of 0 can be set; whatever is used is then all there is.
  return { totalBytes, usedBytes, percent: totalBytes > 0 ? (usedBytes / totalBytes) * 100 : 100 };
}

/** Reads the system again and again; keeps the place of our cgroup between the readings. */
export class SystemReader {
  readonly #root: string;
  readonly #cgroup: CgroupMemoryReader;

  /** `root` stands in for `/` in tests. */
  constructor(root = '/') {
    this.#root = root;
    this.#cgroup = new CgroupMemoryReader(root);
  }

  /** One snapshot, from four to six small files. Does not fail: what cannot be read is absent. */
  async read(): Promise<SystemReading> {
    const [machine, cgroup, machinePressure] = await Promise.all([
      readMachineMemory(this.#root),
      this.#cgroup.read(),
      readPressure(this.#root),
    ]);
    const cgroupPressure =
      cgroup?.version === 'v2' ? await readCgroupPressure(cgroup.path, this.#root) : undefined;
    return {
      atMs: Date.now(),
      ...serverMemory(machine, cgroup),
      ...(cgroup === undefined ? {} : { cgroup }),
      machine,
      pressure: {
        ...(machinePressure === undefined ? {} : { machine: machinePressure }),
        ...(cgroupPressure === undefined ? {} : { cgroup: cgroupPressure }),
      },
    };
  }
}

const readers = new Map<string, SystemReader>();

/** One snapshot of the system that this process runs on, as the files below `root` show it (`memory.system_root`). */
export function readSystem(root = '/'): Promise<SystemReading> {
  const reader = readers.get(root) ?? new SystemReader(root);
  readers.set(root, reader);
  return reader.read();
}
