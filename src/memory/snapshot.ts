import type { Figures } from '../contract/receipts.js';
import type { MemoryView } from '../contract/state/memory.js';
import { toMb, toPercent } from '../contract/units.js';
import type { ProcessMemory } from '../system/process-memory.js';
import type { SystemReading } from '../system/reading.js';

/** Kind of one of our processes. */
export type ProcessRole = 'main' | 'worker' | 'preparer';

export interface ProcessReading {
  readonly role: ProcessRole;
  /** Name of the worker. */
  readonly worker?: string;
  readonly pid: number;
  readonly memory: ProcessMemory;
}

/** One reading of memory: of the machine (or cgroup), and of each of our processes. */
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
  /** Sum of our processes' private bytes: what only they can free. */
  readonly privateBytes: number;
  /** Sum of proportional set sizes: a page shared by n processes counts 1/n for each. */
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

/** The figures as callers see them. */
export function shownFigures(figures: SnapshotFigures): Figures {
  return {
    server_total_mb: toMb(figures.serverTotalBytes),
    server_used_mb: toMb(figures.serverUsedBytes),
    server_percent: toPercent(figures.serverPercent),
    private_mb: toMb(figures.privateBytes),
    pss_mb: toMb(figures.pssBytes),
  };
}

/** A snapshot as callers see it; `of` is what the memory manager adds. */
export function shownMemory(
  snapshot: MemorySnapshot,
  of: Pick<MemoryView, 'load_line_mb' | 'pressure' | 'users_since_recycle'>,
): MemoryView {
  const { private_mb: _private, pss_mb: _pss, ...server } = shownFigures(figuresOf(snapshot));
  return {
    ...server,
    ...of,
    processes: snapshot.processes.map(({ role, pid, memory }) => ({
      role,
      pid,
      rss_mb: toMb(memory.rssBytes),
      pss_mb: toMb(memory.pssBytes),
      private_mb: toMb(memory.privateBytes),
    })),
  };
}

function sum(processes: readonly ProcessReading[], of: (memory: ProcessMemory) => number): number {
  return processes.reduce((total, { memory }) => total + of(memory), 0);
}
