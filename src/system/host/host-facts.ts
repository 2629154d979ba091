import { statfs } from 'node:fs/promises';
import path from 'node:path';
import { systemCodeOf } from '../../errors.js';
import { parseMemoryLimit } from '../cgroup/cgroup-limits.js';
import { type CgroupVersion, findCgroup } from '../cgroup/cgroup-tree.js';
import { parseFlatKeyed, readKernelFile } from '../kernel-file.js';
import type { SystemReading } from '../reading.js';
import { hasLxcfs } from './lxcfs.js';

/** How the host treats the server's memory: what is read once, at the start, and only told. */
export interface HostFacts {
  readonly system: SystemReading;
  /** Directory of the cgroup with memory.oom.group = 1, our own or one above it (v2). */
  readonly oomGroupPath?: string;
  /** Directory of the cgroup whose processes wait instead of being killed (v1: `oom_kill_disable 1`). */
  readonly oomWaitPath?: string;
  /** Bytes that our processes may have swapped out: 0 without swap; unbounded: the machine's SwapTotal. */
  readonly swapBytes: number;
  /** Whether swapped pages are kept compressed in memory first, and how much the cgroups let them take there. */
  readonly zswap: { readonly isOn: boolean; readonly maxBytes?: number };
  /** The folder of the mapped weights, if it lies in memory, and the file system's name. */
  readonly inMemory?: { readonly folder: string; readonly type: 'tmpfs' | 'ramfs' };
  /** /proc/meminfo is the container's (lxcfs). */
  readonly isLxcfs: boolean;
  /** Files that this process may have open: Node raises its soft limit to the hard one when it starts. */
  readonly openFiles?: number;
}

/** statfs(2): the `f_type` of file systems whose files are nowhere but in memory. */
const IN_MEMORY = new Map<number, 'tmpfs' | 'ramfs'>([
  [0x0102_1994, 'tmpfs'],
  [0x8584_58f6, 'ramfs'],
]);

/**
 * Reads the facts; what cannot be read is left out.
 *
 * @param folder where mapped weights lie, or will: then the nearest one above it counts.
 */
export async function readHostFacts(
  system: SystemReading,
  folder: string,
  root = '/',
): Promise<HostFacts> {
  const place = await findCgroup('memory', root);
  const directories = place?.directories ?? [];
  const [oom, swapMax, zswapMax, zswap, isLxcfs, limits, type] = await Promise.all([
    readOutOfMemory(place?.version, directories, root),
    smallestSwap(place?.version, directories, root),
    place?.version === 'v2' ? smallest(directories, 'memory.zswap.max', root) : undefined,
    readKernelFile(root, 'sys/module/zswap/parameters/enabled'),
    hasLxcfs(root),
    readKernelFile(root, 'proc/self/limits'),
    inMemoryType(path.resolve(folder)),
  ]);
  const openFiles = parseOpenFiles(limits);
  return {
    system,
    ...oom,
    swapBytes: Math.min(system.machine.swapTotalBytes, swapMax ?? Number.POSITIVE_INFINITY),
    zswap: {
      isOn: zswap?.trim() === 'Y',
      ...(zswapMax === undefined ? {} : { maxBytes: zswapMax }),
    },
    ...(type === undefined ? {} : { inMemory: { folder, type } }),
    isLxcfs,
    ...(openFiles === undefined ? {} : { openFiles }),
  };
}

/** The soft limit in /proc/self/limits, getrlimit(2); undefined: unlimited, or not said. */
export function parseOpenFiles(limits: string | undefined): number | undefined {
  const match = /^Max open files\s+(\d{1,15})\s/m.exec(limits ?? '');
  return match === null ? undefined : Number(match[1]);
}

/** The file system of a folder, or of the nearest one above it, if that is in memory. */
async function inMemoryType(folder: string): Promise<'tmpfs' | 'ramfs' | undefined> {
  if (process.platform !== 'linux') return undefined;
  try {
    return IN_MEMORY.get((await statfs(folder)).type);
  } catch (error) {
    const above = path.dirname(folder);
    return systemCodeOf(error) === 'ENOENT' && above !== folder ? inMemoryType(above) : undefined;
  }
}

async function readOutOfMemory(
  version: CgroupVersion | undefined,
  directories: readonly string[],
  root: string,
): Promise<Pick<HostFacts, 'oomGroupPath' | 'oomWaitPath'>> {
  if (version === 'v2') {
    const groups = await readAll(directories, 'memory.oom.group', root);
    // The kernel kills the highest one that lies below the cgroup whose limit is reached.
    const oomGroupPath = directories.findLast((_, at) => groups[at]?.trim() === '1');
    return oomGroupPath === undefined ? {} : { oomGroupPath };
  }
  const controls = await readAll(directories, 'memory.oom_control', root);
  const oomWaitPath = directories.find(
    (_, at) => parseFlatKeyed(controls[at] ?? '').get('oom_kill_disable') === 1,
  );
  return oomWaitPath === undefined ? {} : { oomWaitPath };
}

/** v2 has a limit for swap alone; v1 one for memory and swap together (memsw), so swap gets what memory leaves of it. */
async function smallestSwap(
  version: CgroupVersion | undefined,
  directories: readonly string[],
  root: string,
): Promise<number | undefined> {
  if (version === 'v2') return smallest(directories, 'memory.swap.max', root);
  const [both, memory] = await Promise.all([
    smallest(directories, 'memory.memsw.limit_in_bytes', root),
    smallest(directories, 'memory.limit_in_bytes', root),
  ]);
  return both === undefined ? undefined : Math.max(0, both - (memory ?? 0));
}

async function smallest(
  directories: readonly string[],
  file: string,
  root: string,
): Promise<number | undefined> {
  const limits = (await readAll(directories, file, root)).flatMap((text) => {
    const bytes = parseMemoryLimit(text);
    return bytes === undefined ? [] : [bytes];
  });
  return limits.length === 0 ? undefined : Math.min(...limits);
}

function readAll(
  directories: readonly string[],
  file: string,
  root: string,
): Promise<readonly (string | undefined)[]> {
  return Promise.all(directories.map((directory) => readKernelFile(root, `${directory}/${file}`)));
}
