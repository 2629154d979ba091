import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { machineCpuTime, processCpuTime, waitsForDisk } from '../../../src/system/cpu-time.js';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'plimsoll-proc-'));
});
afterEach(() => rm(root, { recursive: true }));

test('the machine’s CPU time is all fields, the busy part without idle and waiting for disks', async () => {
  // Layout of proc(5): user nice system idle iowait irq softirq steal guest guest_nice.
  await writeFile(
    path.join(root, 'stat'),
    'cpu  100 5 40 800 20 1 4 30 0 0\ncpu0 50 2 20 400 10 0 2 15 0 0\n',
  );
  expect(await machineCpuTime(root)).toEqual({ total: 1000, busy: 180 });
});

test('without /proc nothing is known', async () => {
  expect(await machineCpuTime(root)).toBeUndefined();
  expect(await processCpuTime(1, root)).toBe(0);
});

test('a process’s CPU time has its children that have ended; its name may hold anything', async () => {
  await mkdir(path.join(root, '7'));
  // Fields 14 to 17 of proc(5): utime stime cutime cstime.
  const stat = '7 (odd) name (x) S 1 7 7 0 -1 4194560 100 0 0 0 11 22 300 4000 20 0 1 0 5 0 0\n';
  await writeFile(path.join(root, '7', 'stat'), stat);
  expect(await processCpuTime(7, root)).toBe(4333);
});

test('reads the real machine, where the time only grows', async () => {
  const before = await machineCpuTime();
  const own = await processCpuTime(process.pid);
  for (let spin = 0, x = 0; spin < 5e7; spin += 1) x += Math.sqrt(spin + x);
  const after = await machineCpuTime();
  expect(after?.total).toBeGreaterThan(before?.total ?? Infinity);
  expect(await processCpuTime(process.pid)).toBeGreaterThanOrEqual(own);
});

test('a process waits for a disk if one of its threads does', async () => {
  const states = async (...all: readonly string[]) => {
    for (const [at, state] of all.entries()) {
      const folder = path.join(root, '9', 'task', String(at));
      await mkdir(folder, { recursive: true });
      await writeFile(path.join(folder, 'stat'), `9 (a) D (b) ${state} 1 9 9\n`);
    }
    return waitsForDisk(9, root);
  };
  expect(await states('S', 'R')).toBe(false);
  expect(await states('S', 'D')).toBe(true);
  expect(waitsForDisk(10, root)).toBe(false);
});
