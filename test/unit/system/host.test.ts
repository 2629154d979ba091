import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseArcstats, reclaimableArcBytes } from '../../../src/system/host/arc.js';
import { parseOpenFiles, readHostFacts } from '../../../src/system/host/host-facts.js';
import { affordedConnections, hostNotes } from '../../../src/system/host/host-notes.js';
import { isLxcfsMounted } from '../../../src/system/host/lxcfs.js';
import { parseVmStat } from '../../../src/system/host/vm-stat.js';
import { readMachineMemory } from '../../../src/system/machine-memory.js';
import { SystemReader } from '../../../src/system/reading.js';
import { layOut, type Tree, under } from './trees.js';
import { DOCKER_V2, SERVICE, SYSTEMD_V2, v2Memory } from './written-trees.js';

const MiB = 2 ** 20;
const OWN = 'sys/fs/cgroup';
/** The folder of this file is on a disk. */
const ON_DISK = fileURLToPath(new URL('.', import.meta.url));

function meminfo(swapFreeKb = 0, swapTotalKb = 0): Tree {
  return {
    'proc/meminfo': `MemTotal: 8388608 kB\nMemFree: 1048576 kB\nMemAvailable: 2097152 kB\nSwapTotal: ${swapTotalKb} kB\nSwapFree: ${swapFreeKb} kB\n`,
  };
}

async function notesOf(...trees: readonly Tree[]) {
  const root = layOut(meminfo(), ...trees);
  const system = await new SystemReader(root).read();
  const facts = await readHostFacts(system, ON_DISK, root);
  const of = (wanted: 'warn' | 'info') =>
    hostNotes(facts, 1024).flatMap(({ level, text }) => (level === wanted ? [text] : []));
  return { facts, warn: of('warn'), info: of('info') };
}

test('a plain machine has nothing to be told', async () => {
  const { warn, info } = await notesOf();
  expect([...warn, ...info]).toEqual([]);
});

describe('memory.high', () => {
  test('below memory.max: it is the total, and the usage is that of its cgroup', async () => {
    const { facts, warn, info } = await notesOf(SYSTEMD_V2);
    expect(facts.system).toMatchObject({
      source: 'cgroup',
      server: { totalBytes: 700 * MiB, usedBytes: 850 * MiB },
    });
    expect(info).toEqual([expect.stringMatching(/^memory\.high \(700 MB\) is the tightest bound/)]);
    expect(warn).toEqual([]);
  });

  test('alone, without a memory.max, on an inner cgroup', async () => {
    const { facts } = await notesOf(
      SYSTEMD_V2,
      v2Memory(`${OWN}/system.slice`, { currentBytes: 900 * MiB }),
      v2Memory(`${OWN}${SERVICE}`, { high: 400 * MiB, currentBytes: 300 * MiB }),
    );
    expect(facts.system.server).toMatchObject({ totalBytes: 400 * MiB, usedBytes: 250 * MiB });
  });

  test('the tighter one counts when limit and high are on different cgroups', async () => {
    const { facts } = await notesOf(
      SYSTEMD_V2,
      v2Memory(`${OWN}/system.slice`, { max: 600 * MiB, currentBytes: 500 * MiB }),
      v2Memory(`${OWN}${SERVICE}`, { high: 650 * MiB, currentBytes: 300 * MiB }),
    );
    expect(facts.system.server).toMatchObject({ totalBytes: 600 * MiB, usedBytes: 450 * MiB });
    expect(hostNotes(facts, 8)).toEqual([]);
  });

  test('above the machine’s memory it bounds nothing', async () => {
    const { facts, info } = await notesOf(DOCKER_V2, v2Memory(OWN, { high: 9000 * MiB }));
    expect(facts.system).toMatchObject({ source: 'meminfo', server: { totalBytes: 8192 * MiB } });
    expect(info).toEqual([]);
  });
});

describe('when memory runs out', () => {
  test('memory.oom.group, of our own cgroup or of one above it', async () => {
    const group = { 'memory.oom.group': '1\n' };
    const own = await notesOf(DOCKER_V2, under(OWN, group));
    expect(own.warn).toEqual([
      expect.stringMatching(/^memory\.oom\.group is 1 in \/sys\/fs\/cgroup:/),
    ]);
    const above = await notesOf(SYSTEMD_V2, under(`${OWN}/system.slice`, group));
    expect(above.warn).toEqual([expect.stringMatching(/in \/sys\/fs\/cgroup\/system\.slice:/)]);
    expect((await notesOf(DOCKER_V2, under(OWN, { 'memory.oom.group': '0\n' }))).warn).toEqual([]);
  });
});

describe('swap', () => {
  const SWAP = meminfo(4_194_304, 4_194_304);

  test('is warned of in a bounded cgroup, with what it may take', async () => {
    const unbounded = await notesOf(DOCKER_V2, SWAP);
    expect(unbounded.warn).toEqual([expect.stringMatching(/^up to 4096 MB may be swapped out: /)]);
    const limit = { 'memory.swap.max': `${100 * MiB}\n` };
    const bounded = await notesOf(DOCKER_V2, SWAP, under(OWN, limit));
    expect(bounded.warn).toEqual([expect.stringMatching(/^up to 100 MB may be swapped out: /)]);
  });

  test('memory.swap.max 0, here or above, ends it', async () => {
    const none = { 'memory.swap.max': '0\n' };
    expect((await notesOf(DOCKER_V2, SWAP, under(OWN, none))).warn).toEqual([]);
    const slice = under(`${OWN}/system.slice`, none);
    expect((await notesOf(SYSTEMD_V2, SWAP, slice)).warn).toEqual([]);
  });

  test('zswap is named, with its limit', async () => {
    const zswap = {
      'sys/module/zswap/parameters/enabled': 'Y\n',
      ...under(OWN, { 'memory.zswap.max': `${64 * MiB}\n`, 'memory.swap.max': 'max\n' }),
    };
    const { warn } = await notesOf(DOCKER_V2, SWAP, zswap);
    expect(warn).toEqual([
      expect.stringMatching(/\(zswap keeps it compressed in memory first, at most 64 MB of it\)/),
    ]);
  });

  test('v1: what memsw leaves beside memory', async () => {
    const v1 = {
      'proc/self/cgroup': '4:memory:/job\n',
      'proc/self/mountinfo':
        '30 25 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n',
      ...under(`${OWN}/memory/job`, {
        'memory.limit_in_bytes': `${500 * MiB}\n`,
        'memory.usage_in_bytes': `${100 * MiB}\n`,
        'memory.memsw.limit_in_bytes': `${800 * MiB}\n`,
        'memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 0\n',
        'memory.stat': 'total_inactive_file 0\n',
      }),
    };
    expect((await notesOf(v1, SWAP)).warn).toEqual([expect.stringMatching(/^up to 300 MB/)]);
    const wait = under(`${OWN}/memory/job`, { 'memory.oom_control': 'oom_kill_disable 1\n' });
    expect((await notesOf(v1, wait)).warn).toEqual([
      expect.stringMatching(/^oom_kill_disable is 1 in \/sys\/fs\/cgroup\/memory\/job:/),
    ]);
  });

  test('on a machine only when it swaps', async () => {
    expect((await notesOf(SWAP)).warn).toEqual([]);
    const { warn } = await notesOf(meminfo(1_000_000, 4_194_304));
    expect(warn).toEqual([expect.stringMatching(/Lower memory\.load_line/)]);
  });
});

describe('ZFS', () => {
  // The form of kstat_seq_show of OpenZFS: two lines of heading, then name, type, data.
  const ARC =
    '13 1 0x01 147 39984 5158415823 91406521842\nname                            type data\nhits                            4    1000\nc                               4    4294967296\nc_min                           4    536870912\nc_max                           4    6442450944\nsize                            4    3221225472\ncompressed_size                 4    77\n';

  test('what its cache gives back counts as available', async () => {
    expect(parseArcstats(ARC)).toEqual({ sizeBytes: 3072 * MiB, leastBytes: 512 * MiB });
    const { facts, info } = await notesOf({ 'proc/spl/kstat/zfs/arcstats': ARC });
    expect(facts.system.machine.availableBytes).toBe((2048 + 2560) * MiB);
    expect(facts.system.server.usedBytes).toBe((8192 - 2048 - 2560) * MiB);
    expect(info).toEqual([expect.stringMatching(/^2560 MB of ZFS’s cache count as available/)]);
  });

  test('never more than there is; nothing from a cache that is small, or a text of another form', async () => {
    const huge = ARC.replace('3221225472', '99999999999999');
    const machine = await readMachineMemory(
      layOut(meminfo(), { 'proc/spl/kstat/zfs/arcstats': huge }),
    );
    expect(machine.availableBytes).toBe(machine.totalBytes);
    expect(reclaimableArcBytes({ sizeBytes: 5, leastBytes: 9 })).toBe(0);
    expect(parseArcstats('size 4 many\nc_min 4 1')).toBeUndefined();
  });

  test('in an LXC container it is the host’s cache, beside the container’s meminfo', async () => {
    const mounts =
      '100 90 0:50 /proc/meminfo /proc/meminfo rw,nosuid,nodev,relatime master:1 - fuse.lxcfs lxcfs rw,user_id=0,group_id=0,allow_other\n';
    expect(isLxcfsMounted(mounts)).toBe(true);
    expect(isLxcfsMounted(mounts.replace('fuse.lxcfs lxcfs', 'proc proc'))).toBe(false);
    const { facts, info } = await notesOf({
      'proc/spl/kstat/zfs/arcstats': ARC,
      'proc/self/mountinfo': mounts,
    });
    expect(facts.system.machine.availableBytes).toBe(2048 * MiB);
    expect(info).toEqual([expect.stringMatching(/lxcfs/)]);
  });
});

test('macOS: free, speculative and inactive pages are available', () => {
  // The form of vm_stat(1).
  const text =
    'Mach Virtual Memory Statistics: (page size of 16384 bytes)\nPages free:                               10000.\nPages active:                            200000.\nPages inactive:                          150000.\nPages speculative:                         5000.\nPages throttled:                              0.\nPages wired down:                         90000.\n"Translation faults":                  987654321.\nFile-backed pages:                        80000.\n';
  expect(parseVmStat(text)).toEqual({
    freeBytes: 15_000 * 16_384,
    availableBytes: 165_000 * 16_384,
    cachedBytes: 80_000 * 16_384,
  });
  expect(parseVmStat('vm_stat: command not found')).toBeUndefined();
});

test('without /proc/meminfo it is said that only our own processes count', async () => {
  const root = layOut();
  const facts = await readHostFacts(await new SystemReader(root).read(), ON_DISK, root);
  expect(hostNotes(facts, 1024)).toEqual([
    { level: 'warn', text: expect.stringMatching(/no \/proc\/meminfo/) },
  ]);
});

describe('open files', () => {
  test('this process’s limit is the shell’s', async () => {
    const facts = await readHostFacts(await new SystemReader().read(), ON_DISK);
    const { stdout } = spawnSync('/bin/sh', ['-c', 'ulimit -n'], { encoding: 'utf8' });
    expect(facts.openFiles).toBe(Number(stdout));
    expect(
      parseOpenFiles('Max open files            unlimited            unlimited'),
    ).toBeUndefined();
  });

  test('connections are as many as there is room for', async () => {
    expect(affordedConnections(1024, undefined)).toBe(1024);
    expect(affordedConnections(1024, 256)).toBe(64);
    expect(affordedConnections(1024, 100)).toBe(1);
    const { warn } = await notesOf({
      'proc/self/limits':
        'Limit                     Soft Limit           Hard Limit           Units\nMax open files            256                  256                  files\n',
    });
    expect(warn).toEqual([expect.stringMatching(/limited to 256: 64 connections .* Allow 1216/)]);
  });
});

const folders = {
  shm: spawnSync('stat', ['-f', '-c', '%T', '/dev/shm'], { encoding: 'utf8' }).stdout.trim(),
};

test.skipIf(folders.shm !== 'tmpfs')(
  'a data folder on tmpfs, also one that is not there yet',
  async () => {
    const system = await new SystemReader(layOut(meminfo())).read();
    const missing = join('/dev/shm', 'plimsoll-not-there', 'mapped');
    const facts = await readHostFacts(system, missing);
    expect(facts.inMemory).toEqual({ folder: missing, type: 'tmpfs' });
    const [note] = hostNotes({ ...facts, swapBytes: 0 }, 1);
    expect(note?.text).toMatch(/plimsoll-not-there\/mapped lies on tmpfs: /);
  },
);
