/**
 * Cgroup trees that the machine of the captures could not give. Written after
 * Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst, not captured; the mount lines
 * have the form that Docker, Podman, systemd and the kubelet leave behind.
 */
import { type Tree, under } from './trees.js';

const MiB = 2 ** 20;

/** memory.stat of v2, shortened. */
export function v2Stat(inactiveFileBytes: number, activeFileBytes = 0): string {
  return `anon 104857600\nfile 62914560\nkernel 5242880\ninactive_anon 104853504\nactive_anon 4096\ninactive_file ${inactiveFileBytes}\nactive_file ${activeFileBytes}\nunevictable 0\npgfault 1234\n`;
}

function v2Events(oomKills: number): string {
  return `low 0\nhigh 0\nmax 12\noom ${oomKills}\noom_kill ${oomKills}\noom_group_kill 0\n`;
}

/** The memory files of one v2 cgroup; limits in bytes, or `max`. */
export function v2Memory(
  directory: string,
  { max = 'max', high = 'max', currentBytes = 200 * MiB, oomKills = 0 }: V2Memory = {},
): Tree {
  return under(directory, {
    'memory.max': `${max}\n`,
    'memory.high': `${high}\n`,
    'memory.current': `${currentBytes}\n`,
    'memory.stat': v2Stat(50 * MiB, 10 * MiB),
    'memory.events': v2Events(oomKills),
    'memory.pressure':
      'some avg10=1.50 avg60=0.75 avg300=0.10 total=1234567\nfull avg10=0.50 avg60=0.25 avg300=0.05 total=234567\n',
  });
}

interface V2Memory {
  readonly max?: number | 'max';
  readonly high?: number | 'max';
  readonly currentBytes?: number;
  readonly oomKills?: number;
}

export const V2_CONTAINER_MOUNT =
  '1317 1310 0:29 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate,memory_recursiveprot\n';

/** Docker on v2: a cgroup namespace of its own, so our path is `/` and the limit at the mount. */
export const DOCKER_V2: Tree = {
  'proc/self/cgroup': '0::/\n',
  'proc/self/mountinfo': V2_CONTAINER_MOUNT,
  ...v2Memory('sys/fs/cgroup', { max: 512 * MiB, oomKills: 2 }),
  'sys/fs/cgroup/cpu.max': '150000 100000\n',
};

/** The path of a service under systemd on a host with v2. */
export const SERVICE = '/system.slice/plimsoll.service';

/** A host with v2 and systemd: limits on the slice and on the service, none in the root. */
export const SYSTEMD_V2: Tree = {
  'proc/self/cgroup': `0::${SERVICE}\n`,
  'proc/self/mountinfo':
    '35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n',
  'sys/fs/cgroup/cgroup.controllers': 'cpuset cpu io memory pids\n',
  ...v2Memory('sys/fs/cgroup/system.slice', {
    max: 1024 * MiB,
    high: 700 * MiB,
    currentBytes: 900 * MiB,
  }),
  ...v2Memory(`sys/fs/cgroup${SERVICE}`, { max: 2048 * MiB, high: 'max', currentBytes: 300 * MiB }),
  'sys/fs/cgroup/system.slice/cpu.max': '200000 100000\n',
  [`sys/fs/cgroup${SERVICE}/cpu.max`]: 'max 100000\n',
};

const POD = '/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1f.slice';
/** The path of a container in a pod, seen from the host's namespace. */
export const CONTAINER = `${POD}/cri-containerd-0a1b.scope`;

/** A pod of Kubernetes on v2 with the host's cgroup tree in view: pod and container are limited. */
export const KUBERNETES_V2: Tree = {
  'proc/self/cgroup': `0::${CONTAINER}\n`,
  'proc/self/mountinfo':
    '35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw\n',
  ...v2Memory('sys/fs/cgroup/kubepods.slice', { max: 7000 * MiB, currentBytes: 5000 * MiB }),
  ...v2Memory(`sys/fs/cgroup${POD}`, { max: 1024 * MiB, currentBytes: 800 * MiB }),
  ...v2Memory(`sys/fs/cgroup${CONTAINER}`, { max: 1024 * MiB, currentBytes: 700 * MiB }),
};

const V1_POD = '/kubepods/burstable/pod2b3c';
const V1_MEMORY: Tree = {
  'memory.limit_in_bytes': '9223372036854771712\n',
  'memory.usage_in_bytes': `${600 * MiB}\n`,
  'memory.stat': `cache 1000\ninactive_file 77\nhierarchical_memory_limit ${1024 * MiB}\ntotal_inactive_file ${100 * MiB}\ntotal_active_file ${20 * MiB}\n`,
  'memory.use_hierarchy': '1\n',
  'memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 3\n',
};

/**
 * A pod of Kubernetes on v1, without a cgroup namespace: the path is the host's, the container's
 * cgroup is bound to the mount point, and the limit is on the pod above it, out of sight.
 */
export const KUBERNETES_V1: Tree = {
  'proc/self/cgroup': `5:cpu,cpuacct:${V1_POD}/c4d5\n4:memory:${V1_POD}/c4d5\n1:name=systemd:${V1_POD}/c4d5\n`,
  'proc/self/mountinfo': `2305 2304 0:139 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755\n2316 2305 0:37 ${V1_POD}/c4d5 /sys/fs/cgroup/cpu,cpuacct ro,nosuid,nodev,noexec,relatime master:15 - cgroup cgroup rw,cpu,cpuacct\n2310 2305 0:31 ${V1_POD}/c4d5 /sys/fs/cgroup/memory ro,nosuid,nodev,noexec,relatime master:9 - cgroup cgroup rw,memory\n`,
  ...under('sys/fs/cgroup/memory', V1_MEMORY),
  'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '50000\n',
  'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n',
};

/** An old host on v1 whose parent cgroup has a limit but is not hierarchical: it binds nobody below. */
export const FLAT_V1: Tree = {
  'proc/self/cgroup': '4:memory:/batch/job\n',
  'proc/self/mountinfo':
    '30 25 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n',
  ...under('sys/fs/cgroup/memory/batch/job', {
    ...V1_MEMORY,
    'memory.limit_in_bytes': `${800 * MiB}\n`,
    'memory.stat': `hierarchical_memory_limit ${800 * MiB}\ntotal_inactive_file 0\n`,
  }),
  ...under('sys/fs/cgroup/memory/batch', {
    ...V1_MEMORY,
    'memory.limit_in_bytes': `${100 * MiB}\n`,
    'memory.use_hierarchy': '0\n',
  }),
};
