import { readKernelFile } from '../kernel-file.js';
import { type CgroupPlace, type CgroupVersion, findCgroup } from './cgroup-tree.js';

/** What the memory controller's files and the lines of memory.stat are called. */
export const MEMORY_FILES = {
  v1: {
    limit: 'memory.limit_in_bytes',
    usage: 'memory.usage_in_bytes',
    events: 'memory.oom_control',
    // Without `total_` v1 counts the cgroup itself without those below it.
    inactiveFile: 'total_inactive_file',
    activeFile: 'total_active_file',
  },
  v2: {
    limit: 'memory.max',
    usage: 'memory.current',
    events: 'memory.events',
    inactiveFile: 'inactive_file',
    activeFile: 'active_file',
  },
} as const;

/** The limits that our memory cgroup is under, and the places to read usage at. */
export interface MemoryLimits {
  readonly version: CgroupVersion;
  /** Directory of our own cgroup: the lowest that has a usage file. */
  readonly path: string;
  /** Of the cgroup that sets the smaller of `limitBytes` and `highBytes`; without either `path`. */
  readonly limitPath: string;
  readonly limitBytes: number | undefined;
  readonly highBytes: number | undefined;
}

/** v1 writes "no limit" as PAGE_COUNTER_MAX, 2^63 rounded down to a page (or −1 as 2^63 − 1). */
const NO_LIMIT_FROM = 2 ** 60;

/** Bytes out of memory.max, memory.high, memory.limit_in_bytes; undefined: no limit, no number. */
export function parseMemoryLimit(text: string | undefined): number | undefined {
  const bytes = parseByteCount(text);
  return bytes === undefined || bytes >= NO_LIMIT_FROM ? undefined : bytes;
}

/** A file that holds one number of bytes; undefined for text of another form. */
export function parseByteCount(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,20}\s*$/.test(text) ? Number(text) : undefined;
}

/**
 * Finds our memory cgroup and walks up from it to the mount point; undefined when there is none
 * to be seen.
 */
export async function findMemoryLimits(root: string): Promise<MemoryLimits | undefined> {
  const place = await findCgroup('memory', root);
  if (place === undefined) return undefined;
  const levels = await readLevels(place, root);
  const [own] = levels;
  if (own === undefined) return undefined;
  const limiting = smallest(levels, (level) => level.limitBytes);
  const high = smallest(levels, (level) => level.highBytes);
  const tightest = smallest(levels, boundOf);
  const hidden = own.hierarchicalLimitBytes;
  const resolved = { version: place.version, path: own.path, highBytes: high?.highBytes };
  if (hidden !== undefined && hidden < (limiting?.limitBytes ?? Number.POSITIVE_INFINITY)) {
    // It is set above the mount point, where only v1 tells of it: the highest we see is nearest.
    return { ...resolved, limitPath: levels.at(-1)?.path ?? own.path, limitBytes: hidden };
  }
  const limitPath = (tightest ?? own).path;
  return { ...resolved, limitPath, limitBytes: limiting?.limitBytes };
}

/**
 * The tighter of limit and high: above memory.high the kernel slows a process down until it has given memory back, so
 * what lies between the two is no room to work in. Undefined: no bound.
 */
export function boundOf(of: {
  readonly limitBytes: number | undefined;
  readonly highBytes?: number | undefined;
}): number | undefined {
  const { limitBytes, highBytes } = of;
  if (limitBytes === undefined || highBytes === undefined) return limitBytes ?? highBytes;
  return Math.min(limitBytes, highBytes);
}

interface Level {
  readonly path: string;
  readonly limitBytes: number | undefined;
  readonly highBytes: number | undefined;
  readonly hierarchicalLimitBytes: number | undefined;
}

/** The levels that have a usage file, our own first. The root cgroup of v2 has none. */
async function readLevels(place: CgroupPlace, root: string): Promise<readonly Level[]> {
  const files = MEMORY_FILES[place.version];
  const levels: Level[] = [];
  for (const path of place.directories) {
    const read = (name: string) => readKernelFile(root, `${path}/${name}`);
    const [usage, limit, high, stat, hierarchy] = await Promise.all([
      read(files.usage),
      read(files.limit),
      place.version === 'v2' ? read('memory.high') : undefined,
      place.version === 'v1' ? read('memory.stat') : undefined,
      place.version === 'v1' ? read('memory.use_hierarchy') : undefined,
    ]);
    if (usage === undefined) continue;
    // v1 before Linux 5.11: a parent with use_hierarchy 0 is not charged for its children.
    if (levels.length > 0 && hierarchy?.trim() === '0') break;
    const hierarchical = /^hierarchical_memory_limit (\d+)$/m.exec(stat ?? '')?.[1];
    levels.push({
      path,
      limitBytes: parseMemoryLimit(limit),
      highBytes: parseMemoryLimit(high),
      hierarchicalLimitBytes: parseMemoryLimit(hierarchical),
    });
  }
  return levels;
}

/** The level with the smallest value; the outer one of equals; undefined when none has a value. */
function smallest(
  levels: readonly Level[],
  limitOf: (level: Level) => number | undefined,
): Level | undefined {
  let best: { level: Level; value: number } | undefined;
  for (const level of levels) {
    const value = limitOf(level);
    if (value !== undefined && (best === undefined || value <= best.value)) best = { level, value };
  }
  return best?.level;
}
