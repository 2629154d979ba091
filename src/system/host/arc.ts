import { readKernelFile } from '../kernel-file.js';
import { hasLxcfs } from './lxcfs.js';

/** The adaptive replacement cache of ZFS, from /proc/spl/kstat/zfs/arcstats. */
export interface Arc {
  /** `size`: bytes that it holds now. */
  readonly sizeBytes: number;
  /** `c_min`: it does not shrink below this. */
  readonly leastBytes: number;
}

/** Reads arcstats, a kstat: two lines of heading, then `name type data`. Undefined without `size` or `c_min`. */
export function parseArcstats(text: string): Arc | undefined {
  const field = (name: string) => {
    const match = new RegExp(`^${name}[ \\t]+\\d+[ \\t]+(\\d{1,20})$`, 'm').exec(text);
    return match === null ? undefined : Number(match[1]);
  };
  const sizeBytes = field('size');
  const leastBytes = field('c_min');
  return sizeBytes === undefined || leastBytes === undefined
    ? undefined
    : { sizeBytes, leastBytes };
}

/** What the cache gives back when memory is short. htop and other monitors subtract the same: size − c_min. */
export function reclaimableArcBytes({ sizeBytes, leastBytes }: Arc): number {
  return Math.max(0, sizeBytes - leastBytes);
}

/**
 * The cache of this machine; undefined without ZFS. Also in a container with lxcfs: there it is the host's cache, beside a
 * /proc/meminfo of the container.
 */
export async function readArc(root = '/'): Promise<Arc | undefined> {
  const text = await readKernelFile(root, 'proc/spl/kstat/zfs/arcstats');
  if (text === undefined || (await hasLxcfs(root))) return undefined;
  return parseArcstats(text);
}
