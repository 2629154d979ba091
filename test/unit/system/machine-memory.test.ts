import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseMeminfo, readMachineMemory } from '../../../src/system/machine-memory.js';
import { capturedRoot, layOut } from './trees.js';

const captured = readFileSync(capturedRoot('v1-limited/proc/meminfo'), 'utf8');
const KiB = 1024;

test('reads the captured /proc/meminfo', () => {
  expect(parseMeminfo(captured)).toEqual({
    totalBytes: 24684096 * KiB,
    availableBytes: Number(/MemAvailable: +(\d+)/.exec(captured)?.[1]) * KiB,
    freeBytes: Number(/MemFree: +(\d+)/.exec(captured)?.[1]) * KiB,
    cachedBytes: Number(/^Cached: +(\d+)/m.exec(captured)?.[1]) * KiB,
    swapTotalBytes: 0,
    swapFreeBytes: 0,
    source: 'meminfo',
  });
});

test('estimates what is available on a kernel that does not say, and marks it', () => {
  const old =
    'MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 400 kB\nSwapTotal: 10 kB\nSwapFree: 4 kB\nShmem: 30 kB\nHugePages_Total: 7\n';
  expect(parseMeminfo(old)).toEqual({
    totalBytes: 1000 * KiB,
    availableBytes: 520 * KiB,
    freeBytes: 100 * KiB,
    cachedBytes: 400 * KiB,
    swapTotalBytes: 10 * KiB,
    swapFreeBytes: 4 * KiB,
    source: 'meminfo-estimate',
  });
});

test('without /proc it is the runtime’s figure', async () => {
  const memory = await readMachineMemory(layOut());
  expect(memory.source).toBe('runtime');
  expect(memory.totalBytes).toBe(totalmem());
  expect(memory.availableBytes).toBeGreaterThan(0);
});

test('this machine’s total is what the runtime says too', async () => {
  const memory = await readMachineMemory();
  expect(memory.source).toBe('meminfo');
  expect(memory.totalBytes).toBe(totalmem());
  expect(memory.availableBytes).toBeLessThan(memory.totalBytes);
});

test('takes any text without throwing; what is available is never more than all', () => {
  const name = fc.constantFrom('MemTotal', 'MemFree', 'Buffers', 'Cached', 'Shmem');
  const lines = fc
    .array(fc.tuple(name, fc.nat()))
    .map((fields) => fields.map(([key, value]) => `${key}: ${value} kB`).join('\n'));
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), lines), (text) => {
      const memory = parseMeminfo(text);
      if (memory === undefined) return;
      expect(memory.availableBytes).toBeGreaterThanOrEqual(0);
      expect(memory.availableBytes).toBeLessThanOrEqual(memory.totalBytes);
    }),
  );
});
