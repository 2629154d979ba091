import { rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CgroupMemoryReader } from '../../../src/system/cgroup/cgroup.js';
import { parseMemoryLimit } from '../../../src/system/cgroup/cgroup-limits.js';
import { parseFlatKeyed } from '../../../src/system/kernel-file.js';
import { capturedRoot, change, layOut } from './trees.js';
import {
  CONTAINER,
  DOCKER_V2,
  FLAT_V1,
  KUBERNETES_V1,
  KUBERNETES_V2,
  SERVICE,
  SYSTEMD_V2,
  v2Memory,
} from './written-trees.js';

const MiB = 2 ** 20;

function readCgroupMemory(root: string) {
  return new CgroupMemoryReader(root).read();
}

describe('v1', () => {
  test('captured: the limit is on the parent, and so is the usage that it is held against', async () => {
    const outer = '/sys/fs/cgroup/memory/service/worker/outer';
    expect(await readCgroupMemory(capturedRoot('v1-limited'))).toEqual({
      version: 'v1',
      path: `${outer}/inner`,
      limitPath: outer,
      limitBytes: 256 * MiB,
      usageBytes: 51310592,
      inactiveFileBytes: expect.any(Number),
      activeFileBytes: expect.any(Number),
      workingSetBytes: expect.any(Number),
      oomKills: 0,
    });
  });

  test('captured: the parent’s stat without `total_` would miss the pages of its children', async () => {
    const memory = await readCgroupMemory(capturedRoot('v1-limited'));
    // memory.stat of `outer`, read by hand: total_inactive_file and total_active_file.
    expect(memory).toMatchObject({ inactiveFileBytes: 827392, activeFileBytes: 589824 });
    expect(memory?.workingSetBytes).toBe(51310592 - 827392);
  });

  test('a limit above the mount is known from hierarchical_memory_limit', async () => {
    expect(await readCgroupMemory(layOut(KUBERNETES_V1))).toEqual({
      version: 'v1',
      path: '/sys/fs/cgroup/memory',
      limitPath: '/sys/fs/cgroup/memory',
      limitBytes: 1024 * MiB,
      usageBytes: 600 * MiB,
      inactiveFileBytes: 100 * MiB,
      activeFileBytes: 20 * MiB,
      workingSetBytes: 500 * MiB,
      oomKills: 3,
    });
  });

  test('a parent that is not hierarchical limits nobody below it', async () => {
    const memory = await readCgroupMemory(layOut(FLAT_V1));
    expect(memory?.limitBytes).toBe(800 * MiB);
    expect(memory?.limitPath).toBe('/sys/fs/cgroup/memory/batch/job');
  });
});

describe('v2', () => {
  test('Docker: the container’s cgroup is at the mount point', async () => {
    expect(await readCgroupMemory(layOut(DOCKER_V2))).toEqual({
      version: 'v2',
      path: '/sys/fs/cgroup',
      limitPath: '/sys/fs/cgroup',
      limitBytes: 512 * MiB,
      usageBytes: 200 * MiB,
      inactiveFileBytes: 50 * MiB,
      activeFileBytes: 10 * MiB,
      workingSetBytes: 150 * MiB,
      oomKills: 2,
    });
  });

  test('systemd: the slice is tighter than the service; its usage counts', async () => {
    expect(await readCgroupMemory(layOut(SYSTEMD_V2))).toMatchObject({
      path: `/sys/fs/cgroup${SERVICE}`,
      limitPath: '/sys/fs/cgroup/system.slice',
      limitBytes: 1024 * MiB,
      highBytes: 700 * MiB,
      usageBytes: 900 * MiB,
    });
  });

  test('Kubernetes: of equal limits the outer one, the pod’s', async () => {
    expect(await readCgroupMemory(layOut(KUBERNETES_V2))).toMatchObject({
      path: `/sys/fs/cgroup${CONTAINER}`,
      limitBytes: 1024 * MiB,
      usageBytes: 800 * MiB,
    });
  });

  test('memory.max "max" everywhere: no limit, and our own usage', async () => {
    const memory = await readCgroupMemory(layOut(DOCKER_V2, v2Memory('sys/fs/cgroup')));
    expect(memory).toMatchObject({ limitBytes: undefined, usageBytes: 200 * MiB });
    expect(memory).not.toHaveProperty('highBytes');
  });

  test('memory.high alone: no limit, and the usage at its level', async () => {
    const slice = 'sys/fs/cgroup/system.slice';
    const memory = await readCgroupMemory(
      layOut(
        SYSTEMD_V2,
        v2Memory(slice, { high: 300 * MiB, currentBytes: 290 * MiB }),
        v2Memory(`sys/fs/cgroup${SERVICE}`),
      ),
    );
    expect(memory).toMatchObject({
      limitBytes: undefined,
      highBytes: 300 * MiB,
      limitPath: `/${slice}`,
      usageBytes: 290 * MiB,
    });
  });

  test('the root cgroup has no memory files: no reading', async () => {
    const root = layOut({ ...SYSTEMD_V2, 'proc/self/cgroup': '0::/\n' });
    expect(await readCgroupMemory(root)).toBeUndefined();
  });
});

describe('between readings', () => {
  test('usage is read each time; a changed limit when the walk is repeated', async () => {
    const root = layOut(DOCKER_V2);
    const remembering = new CgroupMemoryReader(root, 60_000);
    const walking = new CgroupMemoryReader(root, 0);
    await Promise.all([remembering.read(), walking.read()]);
    change(root, v2Memory('sys/fs/cgroup', { max: 300 * MiB, currentBytes: 250 * MiB }));
    expect(await remembering.read()).toMatchObject({
      limitBytes: 512 * MiB,
      usageBytes: 250 * MiB,
      oomKills: 0,
    });
    expect(await walking.read()).toMatchObject({ limitBytes: 300 * MiB, usageBytes: 250 * MiB });
  });

  test('a process that was moved is found again at once', async () => {
    const root = layOut(SYSTEMD_V2);
    const reader = new CgroupMemoryReader(root, 60_000);
    await reader.read();
    rmSync(join(root, 'sys/fs/cgroup/system.slice'), { recursive: true });
    change(root, { 'proc/self/cgroup': '0::/moved\n' });
    change(root, v2Memory('sys/fs/cgroup/moved', { max: 64 * MiB, currentBytes: 20 * MiB }));
    expect(await reader.read()).toMatchObject({
      path: '/sys/fs/cgroup/moved',
      limitBytes: 64 * MiB,
      // The tree's inactive file pages (50 MiB) are more than this usage: never below 0.
      workingSetBytes: 0,
    });
  });

  test('no cgroup at all stays no cgroup', async () => {
    const reader = new CgroupMemoryReader(layOut(), 60_000);
    expect(await reader.read()).toBeUndefined();
    expect(await reader.read()).toBeUndefined();
  });
});

test('limits: the numbers that mean none', () => {
  expect(parseMemoryLimit('max\n')).toBeUndefined();
  expect(parseMemoryLimit('9223372036854771712\n')).toBeUndefined();
  expect(parseMemoryLimit('9223372036854775807\n')).toBeUndefined();
  expect(parseMemoryLimit('-1\n')).toBeUndefined();
  expect(parseMemoryLimit('')).toBeUndefined();
  expect(parseMemoryLimit('0\n')).toBe(0);
  expect(parseMemoryLimit('536870912\n')).toBe(512 * MiB);
});

test('parsers take any text without throwing', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const limit = parseMemoryLimit(text) ?? 0;
      expect(limit >= 0 && limit < 2 ** 60).toBe(true);
      for (const value of parseFlatKeyed(text).values()) expect(value).toBeGreaterThanOrEqual(0);
    }),
  );
});

test('any text in the files gives a reading or none, never an error', async () => {
  const file = fc.oneof(fc.string(), fc.nat().map(String), fc.constant('max'));
  await fc.assert(
    fc.asyncProperty(fc.array(file, { minLength: 5, maxLength: 5 }), async (texts) => {
      const root = layOut(DOCKER_V2);
      const names = ['memory.max', 'memory.high', 'memory.current', 'memory.stat', 'memory.events'];
      names.forEach((name, index) => {
        change(root, { [`sys/fs/cgroup/${name}`]: texts[index] ?? '' });
      });
      const memory = await readCgroupMemory(root);
      expect(memory?.workingSetBytes ?? 0).toBeGreaterThanOrEqual(0);
    }),
    { numRuns: 50 },
  );
});
