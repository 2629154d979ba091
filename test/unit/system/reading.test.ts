import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readSystem, SystemReader, serverMemory } from '../../../src/system/reading.js';
import { capturedRoot, layOut, type Tree } from './trees.js';
import { DOCKER_V2, SYSTEMD_V2, v2Memory } from './written-trees.js';

const MiB = 2 ** 20;
const MACHINE: Tree = {
  'proc/meminfo': 'MemTotal: 8388608 kB\nMemFree: 1048576 kB\nMemAvailable: 6291456 kB\n',
  'proc/pressure/memory':
    'some avg10=2.00 avg60=1.00 avg300=0.50 total=9\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=3\n',
};

describe('server memory', () => {
  test('in a limited container: the limit, and the working set out of it', async () => {
    const reading = await new SystemReader(layOut(MACHINE, DOCKER_V2)).read();
    expect(reading).toMatchObject({
      server: { totalBytes: 512 * MiB, usedBytes: 150 * MiB, percent: (150 / 512) * 100 },
      cgroup: { version: 'v2', limitBytes: 512 * MiB },
      machine: { totalBytes: 8192 * MiB, source: 'meminfo' },
      pressure: { machine: { some: { avg10: 2 } }, cgroup: { some: { avg10: 1.5 } } },
      source: 'cgroup',
    });
  });

  test('with a limit above the machine’s memory: the machine', async () => {
    const root = layOut(MACHINE, DOCKER_V2, v2Memory('sys/fs/cgroup', { max: 9000 * MiB }));
    const reading = await new SystemReader(root).read();
    expect(reading.source).toBe('meminfo');
    expect(reading.server).toEqual({ totalBytes: 8192 * MiB, usedBytes: 2048 * MiB, percent: 25 });
    expect(reading.cgroup?.limitBytes).toBe(9000 * MiB);
  });

  test('outside of any memory cgroup: the machine, and no such keys', async () => {
    const root = layOut(MACHINE, { ...SYSTEMD_V2, 'proc/self/cgroup': '0::/\n' });
    const reading = await new SystemReader(root).read();
    expect(reading.server.percent).toBe(25);
    expect(reading).not.toHaveProperty('cgroup');
    expect(reading.pressure).not.toHaveProperty('cgroup');
  });

  test('captured v1: limited by the parent cgroup, pressure of the machine alone', async () => {
    const reading = await new SystemReader(capturedRoot('v1-limited')).read();
    expect(reading.source).toBe('cgroup');
    expect(reading.server.totalBytes).toBe(256 * MiB);
    expect(Object.keys(reading.pressure)).toEqual(['machine']);
  });

  test('without /proc: the runtime’s figures', async () => {
    const reading = await new SystemReader(layOut()).read();
    expect(reading.source).toBe('runtime');
    expect(reading.server.totalBytes).toBeGreaterThan(0);
    expect(reading.pressure).toEqual({});
  });

  test('a limit of 0 is full, not a division by zero', async () => {
    const { machine, cgroup } = await new SystemReader(layOut(MACHINE, DOCKER_V2)).read();
    const nothing = cgroup && { ...cgroup, limitBytes: 0 };
    expect(serverMemory(machine, nothing).server.percent).toBe(100);
  });
});

test('this machine: figures that fit one another and /proc/meminfo', async () => {
  const before = Date.now();
  const reading = await readSystem();
  const meminfo = readFileSync('/proc/meminfo', 'utf8');
  expect(reading.machine.totalBytes).toBe(Number(/MemTotal: +(\d+)/.exec(meminfo)?.[1]) * 1024);
  expect(reading.server.totalBytes).toBeLessThanOrEqual(reading.machine.totalBytes);
  expect(reading.server.usedBytes).toBeGreaterThan(0);
  expect(reading.server.percent).toBeLessThanOrEqual(100);
  expect(reading.atMs).toBeGreaterThanOrEqual(before);
});
