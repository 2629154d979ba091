import { readKernelFile } from '../kernel-file.js';

/**
 * Whether lxcfs has put a file of its own over /proc/meminfo, as LXC and Incus do: its total is the container's limit, and its
 * MemAvailable leaves out the container's page cache. That limit may be set on a cgroup that the container cannot see.
 *
 * @param mountinfo text of /proc/self/mountinfo, proc_pid_mountinfo(5)
 */
export function isLxcfsMounted(mountinfo: string): boolean {
  return /^\S+ \S+ \S+ \S+ \/proc\/meminfo .* - fuse\.lxcfs /m.test(mountinfo);
}

export async function hasLxcfs(root = '/'): Promise<boolean> {
  return isLxcfsMounted((await readKernelFile(root, 'proc/self/mountinfo')) ?? '');
}
