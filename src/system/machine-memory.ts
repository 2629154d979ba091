import { freemem, totalmem } from 'node:os';
import { parseKilobyteFields, readKernelFile } from './kernel-file.js';

/** The machine's memory. Meanings after Documentation/filesystems/proc.rst, "meminfo". */
export interface MachineMemory {
  /** MemTotal: usable memory, without what the kernel image and the firmware keep. */
  readonly totalBytes: number;
  /** MemAvailable: an estimate of what new work can get without swapping. */
  readonly availableBytes: number;
  /** MemFree: pages that hold nothing at all. Small on a healthy machine. */
  readonly freeBytes: number;
  /** Cached: page cache, with shared memory and tmpfs in it, without the swap cache. */
  readonly cachedBytes: number;
  /** SwapTotal. */
  readonly swapTotalBytes: number;
  /** SwapFree. */
  readonly swapFreeBytes: number;
  /**
   * `meminfo`: as the kernel says. `meminfo-estimate`: the kernel is older than 3.14 and has no
   * MemAvailable; it is MemFree + Buffers + Cached − Shmem, which is too high by the cache that is
   * in use. `runtime`: there is no /proc; total and free are the runtime's, the rest is 0.
   */
  readonly source: 'meminfo' | 'meminfo-estimate' | 'runtime';
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

/** The machine's memory now; without a readable /proc/meminfo, what the runtime says. */
export async function readMachineMemory(root = '/'): Promise<MachineMemory> {
  const text = await readKernelFile(root, 'proc/meminfo');
  return (text === undefined ? undefined : parseMeminfo(text)) ?? runtimeMachineMemory();
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
