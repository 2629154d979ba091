import { readKernelFile } from './kernel-file.js';

/** Part of the wall time in which tasks waited for memory. After Documentation/accounting/psi.rst. */
export interface PressureLine {
  /** Percent (0–100) of the last 10 s. */
  readonly avg10: number;
  /** Percent of the last 60 s. */
  readonly avg60: number;
  /** Percent of the last 300 s. */
  readonly avg300: number;
  /** All such time since boot (or since the cgroup was made). */
  readonly totalMicroseconds: number;
}

/** Pressure stall information for memory. */
export interface MemoryPressure {
  /** At least one task waited: reclaim, refault of page cache, swap-in. */
  readonly some: PressureLine;
  /** All tasks that were not idle waited at once: nothing got done. */
  readonly full: PressureLine;
}

/** Reads a pressure file; undefined unless it has a `some` and a `full` line. */
export function parsePressure(text: string): MemoryPressure | undefined {
  const some = parseLine(text, 'some');
  const full = parseLine(text, 'full');
  return some && full && { some, full };
}

function parseLine(text: string, kind: 'some' | 'full'): PressureLine | undefined {
  const percent = '(\\d{1,3}\\.\\d{1,2})';
  const pattern = `^${kind} avg10=${percent} avg60=${percent} avg300=${percent} total=(\\d{1,20})$`;
  const match = new RegExp(pattern, 'm').exec(text);
  if (match === null) return undefined;
  return {
    avg10: Number(match[1]),
    avg60: Number(match[2]),
    avg300: Number(match[3]),
    totalMicroseconds: Number(match[4]),
  };
}

/**
 * The machine's memory pressure; undefined before Linux 4.20, and where it is compiled in but
 * switched off (`psi=0`, the default of some distributions: the file is there, a read fails).
 */
export async function readPressure(root = '/'): Promise<MemoryPressure | undefined> {
  return readPressureFile(root, 'proc/pressure/memory');
}

/**
 * The pressure within a v2 cgroup, given its directory (`CgroupMemory.path`); undefined where
 * missing: v1 has none, and the root cgroup only on newer kernels.
 */
export async function readCgroupPressure(
  directory: string,
  root = '/',
): Promise<MemoryPressure | undefined> {
  return readPressureFile(root, `${directory}/memory.pressure`);
}

async function readPressureFile(root: string, path: string): Promise<MemoryPressure | undefined> {
  const text = await readKernelFile(root, path);
  return text === undefined ? undefined : parsePressure(text);
}
