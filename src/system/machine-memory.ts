import { freemem, totalmem } from 'node:os';
import { readArc, reclaimableArcBytes } from './host/arc.js';
import { readVmStat } from './host/vm-stat.js';
import { parseKilobyteFields, readKernelFile } from './kernel-file.js';

/** The machine's memory. Meanings after Documentation/filesystems/proc.rst, "meminfo". */
export interface MachineMemory {
  /** MemTotal: usable memory, without what the kernel image and the firmware keep. */
  readonly totalBytes: number;
  /** MemAvailable: an estimate of what new work can get without swapping. `arcBytes` are part of it. */
  readonly availableBytes: number;
  /** MemFree: pages that hold nothing at all. Small on a healthy machine. */
  readonly freeBytes: number;
  /** Cached: page cache, with shared memory and tmpfs in it, without the swap cache. */
  readonly cachedBytes: number;
  /** What ZFS's cache would give back, see `reclaimableArcBytes`; absent without ZFS. */
  readonly arcBytes?: number;
  /** SwapTotal. */
  readonly swapTotalBytes: number;
  /** SwapFree. */
  readonly swapFreeBytes: number;
  /**
   * `meminfo`: as the kernel says. `meminfo-estimate`: the kernel is older than 3.14 and has no
   * MemAvailable; it is MemFree + Buffers + Cached − Shmem, which is too high by the cache that is
   * in use. `vm_stat`: macOS. `runtime`: there is no /proc; total and free are the runtime's, the rest is 0.
   */
  readonly source: 'meminfo' | 'meminfo-estimate' | 'vm_stat' | 'runtime';
}

/** Reads /proc/meminfo; undefined when it has no MemTotal or no MemFree. */
export function parseMeminfo(text: string): MachineMemory | undefined {
  const fields = parseKilobyteFields(text);
  const totalBytes = fields.get('MemTotal');
  const freeBytes = fields.get('MemFree');
  if (totalBytes === undefined || freeBytes === undefined) return undefined;
  const field = (name: string) => fields.get(name) ?? 0;
  const available = fields.get('MemAvailable');
  // Shmem is inside Cached, but a tmpfs page can only go to swap: it is not there for the taking.
  const estimate = freeBytes + field('Buffers') + field('Cached') - field('Shmem');
  return {
    totalBytes,
    availableBytes: available ?? Math.min(Math.max(estimate, 0), totalBytes),
    freeBytes,
    cachedBytes: field('Cached'),
    swapTotalBytes: field('SwapTotal'),
    swapFreeBytes: field('SwapFree'),
    source: available === undefined ? 'meminfo-estimate' : 'meminfo',
  };
}

/**
 * The machine's memory now.
 *
 * 1. /proc/meminfo, with what ZFS's cache would give back counted as available: the kernel counts it as used
 *    (openzfs/zfs#10255).
 * 2. macOS: `vm_stat`.
 * 3. What the runtime says.
 */
export async function readMachineMemory(root = '/'): Promise<MachineMemory> {
  const text = await readKernelFile(root, 'proc/meminfo');
  const memory = text === undefined ? undefined : parseMeminfo(text);
  if (memory !== undefined) {
    const arc = await readArc(root);
    return arc === undefined ? memory : withArc(memory, reclaimableArcBytes(arc)); // 1
  }
  const pages = process.platform === 'darwin' ? await readVmStat() : undefined;
  if (pages === undefined) return runtimeMachineMemory(); // 3
  return { ...runtimeMachineMemory(), ...pages, source: 'vm_stat' }; // 2
}

function withArc(memory: MachineMemory, arcBytes: number): MachineMemory {
  const availableBytes = Math.min(memory.totalBytes, memory.availableBytes + arcBytes);
  return { ...memory, availableBytes, arcBytes };
}

function runtimeMachineMemory(): MachineMemory {
  const freeBytes = freemem();
  return {
    totalBytes: totalmem(),
    availableBytes: freeBytes,
    freeBytes,
    cachedBytes: 0,
    swapTotalBytes: 0,
    swapFreeBytes: 0,
    source: 'runtime',
  };
}
