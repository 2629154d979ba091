import type { ProcessMemory } from '../system/process-memory.js';
import type { SystemReading } from '../system/reading.js';

/** Which of our processes a reading is of. */
export type ProcessRole = 'main' | 'worker' | 'preparer';

export interface ProcessReading {
  readonly role: ProcessRole;
  /** Name of the worker. */
  readonly worker?: string;
  readonly pid: number;
  readonly memory: ProcessMemory;
}

/** One look at memory: the machine's (or cgroup's), and each of our processes'. */
export interface MemorySnapshot {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly system: SystemReading;
  readonly processes: readonly ProcessReading[];
}

/** The figures of a snapshot that receipts keep. */
export interface SnapshotFigures {
  readonly serverTotalBytes: number;
  readonly serverUsedBytes: number;
  /** Used ÷ total, in percent. */
  readonly serverPercent: number;
  /** Sum of what only our processes can give back. */
  readonly privateBytes: number;
  /** Sum of the proportional sizes: a page shared by n processes counts 1/n for each. */
  readonly pssBytes: number;
}

export function figuresOf(snapshot: MemorySnapshot): SnapshotFigures {
  const { server } = snapshot.system;
  return {
    serverTotalBytes: server.totalBytes,
    serverUsedBytes: server.usedBytes,
    serverPercent: server.percent,
    privateBytes: sum(snapshot.processes, ({ privateBytes }) => privateBytes),
    pssBytes: sum(snapshot.processes, ({ pssBytes }) => pssBytes),
  };
}

function sum(processes: readonly ProcessReading[], of: (memory: ProcessMemory) => number): number {
  return processes.reduce((total, { memory }) => total + of(memory), 0);
}
