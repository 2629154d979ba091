import { readFile, writeFile } from 'node:fs/promises';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { parseKilobyteFields, readKernelFile } from './kernel-file.js';

/**
 * What one process holds. Meanings after Documentation/filesystems/proc.rst.
 *
 * Private is split in two, because the two are given back in different ways. Dirty private pages
 * exist nowhere else: only the process itself can give them back (or the kernel by swapping). Clean
 * private pages are page cache of a file that just one process has mapped at the moment, such as the
 * weights of a model that one worker has open: the kernel drops them when it needs the room, and they
 * turn into shared pages when a second worker maps the same file. Counting them as the
 * process's own would charge a worker for memory that nobody needs to free.
 */
export interface ProcessMemory {
  /** Resident pages, shared ones counted in full. Huge pages of hugetlbfs are not part of it. */
  readonly rssBytes: number;
  /** Resident pages, each divided by the number of processes that map it. Adds up over processes. */
  readonly pssBytes: number;
  /** Private_Dirty + Private_Hugetlb + Swap: what only this process can give back. */
  readonly privateBytes: number;
  /** Shared_Clean + Shared_Dirty + Shared_Hugetlb: pages that another process maps too. */
  readonly sharedBytes: number;
  /** Private_Clean: file pages that only this process maps; the kernel can drop them. */
  readonly privateCleanBytes: number;
  /** Swap: anonymous pages that are swapped out (part of `privateBytes`). */
  readonly swapBytes: number;
  /**
   * Where it was read. `smaps_rollup` is exact. With `status` RSS and private are, and the rest is the
   * last exact reading's, in proportion to the mapped pages that are resident now. `statm` knows no PSS
   * and no clean pages: its `pssBytes` is RSS, an upper bound. `runtime` knows RSS alone: PSS and private
   * are upper bounds.
   */
  readonly source: 'smaps_rollup' | 'status' | 'statm' | 'runtime';
}

/** Reads /proc/PID/smaps_rollup; undefined when it has no `Rss` and no `Pss`. */
export function parseSmapsRollup(text: string): ProcessMemory | undefined {
  const fields = parseKilobyteFields(text);
  const rssBytes = fields.get('Rss');
  const pssBytes = fields.get('Pss');
  if (rssBytes === undefined || pssBytes === undefined) return undefined;
  const sum = (...names: string[]) =>
    names.reduce((total, name) => total + (fields.get(name) ?? 0), 0);
  return {
    rssBytes,
    pssBytes,
    privateBytes: sum('Private_Dirty', 'Private_Hugetlb', 'Swap'),
    sharedBytes: sum('Shared_Clean', 'Shared_Dirty', 'Shared_Hugetlb'),
    privateCleanBytes: sum('Private_Clean'),
    swapBytes: sum('Swap'),
    source: 'smaps_rollup',
  };
}

/**
 * Reads /proc/PID/statm, which counts in pages of `pageSizeBytes`: size, resident, shared (resident
 * file and shmem pages). Private is resident − shared, the anonymous pages. Undefined for text of
 * another form, and for a process without an address space (a zombie, a kernel thread: all zeros).
 */
export function parseStatm(text: string, pageSizeBytes: number): ProcessMemory | undefined {
  const match = /^(\d{1,15}) (\d{1,15}) (\d{1,15}) /.exec(text);
  if (match === null || Number(match[1]) === 0) return undefined;
  const rssBytes = Number(match[2]) * pageSizeBytes;
  const sharedBytes = Math.min(Number(match[3]) * pageSizeBytes, rssBytes);
  return {
    rssBytes,
    pssBytes: rssBytes,
    privateBytes: rssBytes - sharedBytes,
    sharedBytes,
    privateCleanBytes: 0,
    swapBytes: 0,
    source: 'statm',
  };
}

/** Fields of /proc/PID/status, in bytes; those that the kernel leaves out are undefined. */
export interface ProcessStatus {
  /** VmHWM: the highest RSS so far ("high water mark"). */
  readonly peakRssBytes: number | undefined;
  /** RssAnon: resident anonymous pages (heap, stacks). Since Linux 4.5. */
  readonly anonymousBytes: number | undefined;
  /** RssFile: resident pages of mapped files. Since Linux 4.5. */
  readonly fileBytes: number | undefined;
  /** RssShmem: resident pages of shared memory. Since Linux 4.5. */
  readonly sharedMemoryBytes: number | undefined;
  /** VmSwap: anonymous pages that are swapped out. */
  readonly swapBytes: number | undefined;
  /** HugetlbPages: pages of hugetlbfs, which are in none of the others. Since Linux 4.4. */
  readonly hugetlbBytes: number | undefined;
}

/** Reads /proc/PID/status. A zombie's has none of these lines. */
export function parseStatus(text: string): ProcessStatus {
  const fields = parseKilobyteFields(text);
  return {
    peakRssBytes: fields.get('VmHWM'),
    anonymousBytes: fields.get('RssAnon'),
    fileBytes: fields.get('RssFile'),
    sharedMemoryBytes: fields.get('RssShmem'),
    swapBytes: fields.get('VmSwap'),
    hugetlbBytes: fields.get('HugetlbPages'),
  };
}

/** The memory of this process. Falls back to statm and then to `process.memoryUsage()`. */
export async function readOwnMemory(root = '/'): Promise<ProcessMemory> {
  return (await readProcFiles('self', root)) ?? runtimeMemory();
}

/**
 * The memory of process `pid`; undefined when it is gone, a zombie, or not readable. The read runs
 * in libuv's thread pool: smaps_rollup walks the page tables, some ms for a large process.
 */
export function readProcessMemory(pid: number, root = '/'): Promise<ProcessMemory | undefined> {
  return readProcFiles(String(pid), root);
}

/** What the kernel keeps count of for process `pid`; undefined when it is gone or not readable. */
export async function readStatus(
  pid: number | 'self',
  root = '/',
): Promise<ProcessStatus | undefined> {
  const text = await readKernelFile(root, `proc/${pid}/status`);
  return text === undefined ? undefined : parseStatus(text);
}

/**
 * What only a process can give back, by the kernel's own counts: RssAnon + VmSwap + HugetlbPages. The
 * same pages as `privateBytes` of smaps_rollup (a page of a private mapping that was written to is an
 * anonymous one), but read in some microseconds, whatever the process has mapped. Undefined where the
 * kernel does not count anonymous pages.
 */
export function privateBytesOf(status: ProcessStatus): number | undefined {
  const { anonymousBytes, swapBytes, hugetlbBytes } = status;
  return anonymousBytes && anonymousBytes + (swapBytes ?? 0) + (hugetlbBytes ?? 0);
}

/** `privateBytes` of this process, the quick way where there is one. */
export async function readOwnPrivateBytes(root = '/'): Promise<number> {
  const status = await readStatus('self', root);
  return (status && privateBytesOf(status)) ?? (await readOwnMemory(root)).privateBytes;
}

/** The highest RSS of a process so far, in bytes; undefined when it is gone or not readable. */
export async function readPeakRss(
  pid: number | 'self' = 'self',
  root = '/',
): Promise<number | undefined> {
  return (await readStatus(pid, root))?.peakRssBytes;
}

/** smaps_rollup needs Linux 4.14 and the right to trace the process; statm is there for everyone. */
async function readProcFiles(pid: string, root: string): Promise<ProcessMemory | undefined> {
  const rollup = await readKernelFile(root, `proc/${pid}/smaps_rollup`);
  const exact = rollup === undefined ? undefined : parseSmapsRollup(rollup);
  if (exact !== undefined) return exact;
  const statm = await readKernelFile(root, `proc/${pid}/statm`);
  return statm === undefined ? undefined : parseStatm(statm, await readPageSize());
}

function runtimeMemory(): ProcessMemory {
  const rssBytes = runtimeRss();
  return {
    rssBytes,
    pssBytes: rssBytes,
    privateBytes: rssBytes,
    sharedBytes: 0,
    privateCleanBytes: 0,
    swapBytes: 0,
    source: 'runtime',
  };
}

/** Node reads the resident size from /proc too; without it there is the highest so far, in kB (getrusage(2)). */
function runtimeRss(): number {
  try {
    return process.memoryUsage.rss();
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}

/** AT_PAGESZ in the auxiliary vector, getauxval(3). */
const AUXV_PAGE_SIZE = 6n;

/**
 * The page size out of /proc/self/auxv: pairs of 64-bit words, type and value. Node has no call for
 * it, and 4096 is wrong on arm64 kernels with pages of 16 or 64 KiB. 4096 when the vector has none.
 */
export function parsePageSize(auxv: Buffer): number {
  const wordAt = (offset: number) =>
    endianness() === 'LE' ? auxv.readBigUInt64LE(offset) : auxv.readBigUInt64BE(offset);
  for (let offset = 0; offset + 16 <= auxv.length; offset += 16) {
    if (wordAt(offset) === AUXV_PAGE_SIZE) return Number(wordAt(offset + 8));
  }
  return 4096;
}

/** It never changes while the machine runs, so it is read once, and only if statm is needed. */
let pageSizeBytes: Promise<number> | undefined;

function readPageSize(): Promise<number> {
  pageSizeBytes ??= readFile('/proc/self/auxv').then(parsePageSize, () => 4096);
  return pageSizeBytes;
}

/**
 * Lets the peak that {@link readPeakRss} gives for this process begin anew at what it holds now (5 written
 * to clear_refs, proc(5)). Returns whether the kernel took it.
 */
export async function resetOwnPeakRss(root = '/'): Promise<boolean> {
  try {
    // 'r+' and not 'w': where there is no such file, none shall be made.
    await writeFile(join(root, 'proc/self/clear_refs'), '5', { flag: 'r+' });
    return true;
  } catch {
    return false;
  }
}
