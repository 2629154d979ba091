import { readKernelFile } from '../kernel-file.js';

export type CgroupVersion = 'v1' | 'v2';

/** One line of /proc/self/cgroup, cgroups(7): `id:controllers:path`. */
export interface CgroupMembership {
  readonly version: CgroupVersion;
  /** Controllers of a v1 hierarchy; empty for v2 (`0::path`). */
  readonly controllers: readonly string[];
  /** Relative to the root of our cgroup namespace: `/` for the root, `/..` for what is above it. */
  readonly path: string;
}

/** One mounted cgroup hierarchy, from /proc/self/mountinfo (proc_pid_mountinfo(5)). */
export interface CgroupMount {
  readonly version: CgroupVersion;
  /** For v1, the hierarchy's controllers (a super option each); other options are among them. */
  readonly options: readonly string[];
  /** The cgroup that is at the mount point, relative to our cgroup namespace. */
  readonly root: string;
  readonly mountPoint: string;
}

/** Where our cgroup of one controller is in the file system. */
export interface CgroupPlace {
  readonly version: CgroupVersion;
  /**
   * Directories from our own cgroup up to the mount point, absolute as this process sees them. One
   * that does not exist may be among them. What is above the mount point cannot be seen.
   */
  readonly directories: readonly [string, ...string[]];
}

/** Reads /proc/self/cgroup; lines of another form are left out. */
export function parseProcCgroup(text: string): readonly CgroupMembership[] {
  const memberships: CgroupMembership[] = [];
  for (const match of text.matchAll(/^(\d+):([^:\n]*):(\/.*)$/gm)) {
    const [, id = '', controllers = '', path = ''] = match;
    memberships.push({
      version: id === '0' && controllers === '' ? 'v2' : 'v1',
      controllers: controllers === '' ? [] : controllers.split(','),
      // The kernel marks the cgroup of a process that outlived it.
      path: path.replace(/ \(deleted\)$/, ''),
    });
  }
  return memberships;
}

/**
 * The cgroup mounts in /proc/self/mountinfo, in its order, without those that a later mount on the
 * same point covers (a container runtime may bind the container's cgroup over the whole tree).
 */
export function parseMountinfo(text: string): readonly CgroupMount[] {
  const mounts = new Map<string, CgroupMount>();
  for (const line of text.split('\n')) {
    const [before = '', after] = line.split(' - ', 2);
    const [, , , root, mountPoint] = before.split(' ').map(unescapeOctal);
    if (after === undefined || root === undefined || mountPoint === undefined) continue;
    mounts.delete(mountPoint);
    const [type, , options = ''] = after.split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') continue;
    const version = type === 'cgroup' ? 'v1' : 'v2';
    mounts.set(mountPoint, { version, options: options.split(','), root, mountPoint });
  }
  return [...mounts.values()];
}

/**
 * Finds our cgroup of `controller`; undefined when none is mounted (or there is no Linux /proc).
 *
 * 1. A controller that /proc/self/cgroup names in a v1 line is on v1 (a controller is on one
 *    hierarchy only, so this settles hybrid systems). Without a v1 mount for it, try v2.
 * 2. Otherwise the v2 line counts, though the controller may turn out to be switched off there.
 * 3. Of several mounts of the hierarchy take one that our cgroup lies under, the highest root
 *    first: it shows the most limits above us.
 * 4. When our cgroup lies under none (the path is the host's, the mount is the container's; or the
 *    path starts with `/..`), the mount point itself is the best that can be seen.
 */
export async function findCgroup(
  controller: 'memory' | 'cpu',
  root = '/',
): Promise<CgroupPlace | undefined> {
  const memberships = parseProcCgroup((await readKernelFile(root, 'proc/self/cgroup')) ?? '');
  const mounts = parseMountinfo((await readKernelFile(root, 'proc/self/mountinfo')) ?? '');
  const v1 = memberships.find(({ controllers }) => controllers.includes(controller));
  const v1Mounts = mounts.filter((m) => m.version === 'v1' && m.options.includes(controller));
  if (v1 !== undefined && v1Mounts.length > 0) return placeOf(v1, v1Mounts);
  const v2 = memberships.find(({ version }) => version === 'v2');
  return (
    v2 &&
    placeOf(
      v2,
      mounts.filter(({ version }) => version === 'v2'),
    )
  );
}

function placeOf(
  { version, path }: CgroupMembership,
  mounts: readonly CgroupMount[],
): CgroupPlace | undefined {
  let best: { mountPoint: string; rootDepth: number; below: string[] } | undefined;
  for (const mount of mounts) {
    const below = pathBelow(mount.root, path);
    const rootDepth = segmentsOf(mount.root).length;
    if (below !== undefined && (best === undefined || rootDepth < best.rootDepth)) {
      best = { mountPoint: mount.mountPoint, rootDepth, below };
    }
  }
  const mountPoint = best?.mountPoint ?? mounts[0]?.mountPoint;
  if (mountPoint === undefined) return undefined;
  const directories: [string, ...string[]] = [mountPoint];
  for (const segment of best?.below ?? []) {
    directories.unshift(`${directories[0].replace(/\/$/, '')}/${segment}`);
  }
  return { version, directories };
}

/** The segments of `path` below `root`; undefined when it is not below, or leads out with `..`. */
function pathBelow(root: string, path: string): string[] | undefined {
  const rootSegments = segmentsOf(root);
  const pathSegments = segmentsOf(path);
  if (rootSegments.some((segment, index) => segment !== pathSegments[index])) return undefined;
  const below = pathSegments.slice(rootSegments.length);
  return below.includes('..') ? undefined : below;
}

function segmentsOf(path: string): string[] {
  return path.split('/').filter((segment) => segment !== '' && segment !== '.');
}

/** mountinfo writes space, tab, newline and backslash as `\040` and so on. */
function unescapeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
