import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { collectGarbage } from '../../../src/system/own-process.js';
import {
  parsePageSize,
  parseSmapsRollup,
  parseStatm,
  parseStatus,
  readOwnMemory,
  readPeakRss,
  readProcessMemory,
  resetOwnPeakRss,
} from '../../../src/system/process-memory.js';
import { capturedRoot, layOut } from './trees.js';

const MiB = 2 ** 20;
const KiB = 1024;
const captured = (name: string) =>
  readFileSync(join(capturedRoot('v1-limited/proc/self'), name), 'utf8');

describe('captured files of a Node.js process', () => {
  test('smaps_rollup: private is dirty pages only, clean private pages stand apart', () => {
    expect(parseSmapsRollup(captured('smaps_rollup'))).toEqual({
      rssBytes: 81576 * KiB,
      pssBytes: 79486 * KiB,
      privateBytes: 47324 * KiB,
      sharedBytes: 2960 * KiB,
      privateCleanBytes: 31292 * KiB,
      swapBytes: 0,
      source: 'smaps_rollup',
    });
  });

  test('smaps_rollup: huge and swapped pages are private, shared huge pages shared', () => {
    const text = captured('smaps_rollup')
      .replace(/^(Private_Hugetlb:\s+)0/m, '$12048')
      .replace(/^(Shared_Hugetlb:\s+)0/m, '$14096')
      .replace(/^(Swap:\s+)0/m, '$1100');
    expect(parseSmapsRollup(text)).toMatchObject({
      privateBytes: (47324 + 2048 + 100) * KiB,
      sharedBytes: (2960 + 4096) * KiB,
      swapBytes: 100 * KiB,
    });
  });

  test('statm agrees with smaps_rollup on RSS, and its private part is the anonymous pages', () => {
    const statm = parseStatm(captured('statm'), 4096);
    const status = parseStatus(captured('status'));
    expect(statm).toEqual({
      rssBytes: 81576 * KiB,
      pssBytes: 81576 * KiB,
      privateBytes: status.anonymousBytes,
      sharedBytes: status.fileBytes,
      privateCleanBytes: 0,
      swapBytes: 0,
      source: 'statm',
    });
    expect(status.peakRssBytes).toBe(81576 * KiB);
  });
});

describe('fallbacks', () => {
  test('without smaps_rollup statm is read, for us and for another process', async () => {
    const root = layOut({
      'proc/self/statm': captured('statm'),
      'proc/7/statm': captured('statm'),
    });
    expect((await readOwnMemory(root)).source).toBe('statm');
    expect((await readProcessMemory(7, root))?.source).toBe('statm');
  });

  test('without /proc our own memory is the runtime’s figure, marked so', async () => {
    const memory = await readOwnMemory(layOut());
    expect(memory.source).toBe('runtime');
    expect(memory.rssBytes).toBeGreaterThan(10 * MiB);
    expect(memory.privateBytes).toBe(memory.rssBytes);
  });

  test('a zombie has no memory', () => {
    expect(parseStatm('0 0 0 0 0 0 0\n', 4096)).toBeUndefined();
    expect(parseSmapsRollup('')).toBeUndefined();
    expect(parseStatus('Name:\tnode\nState:\tZ (zombie)\n').peakRssBytes).toBeUndefined();
  });

  test('the page size is the value beside AT_PAGESZ, else 4096', () => {
    const auxv = Buffer.from(new BigUint64Array([33n, 1n, 6n, 65536n, 0n, 0n]).buffer);
    expect(parsePageSize(auxv)).toBe(65536);
    expect(parsePageSize(Buffer.alloc(32))).toBe(4096);
    expect(parsePageSize(Buffer.alloc(3))).toBe(4096);
  });
});

test('parsers take any text without throwing, and give whole bytes or nothing', () => {
  const line = fc.tuple(
    fc.constantFrom('Rss', 'Pss', 'Swap', 'VmHWM', 'Private_Dirty', ''),
    fc.constantFrom(':', ': ', ':\t', ''),
    fc.oneof(fc.string(), fc.nat().map(String), fc.constant('9'.repeat(40))),
    fc.constantFrom(' kB', '', ' MB'),
  );
  const garbage = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(line.map((parts) => parts.join(''))).map((lines) => lines.join('\n')),
  );
  fc.assert(
    fc.property(garbage, (text) => {
      const figures = [parseSmapsRollup(text), parseStatm(text, 4096), parseStatus(text)];
      for (const value of figures.flatMap((figure) => Object.values(figure ?? {}))) {
        if (typeof value === 'number') expect(Number.isFinite(value) && value >= 0).toBe(true);
      }
    }),
  );
});

describe('the peak of the resident size', () => {
  test('begins anew when it is reset', async () => {
    // In a block of its own, so that nothing holds it afterwards.
    const peakWhileHeld = await (async () => {
      const large = Buffer.alloc(96 * MiB, 1);
      return large.length > 0 ? ((await readPeakRss()) ?? 0) : 0;
    })();
    await vi.waitFor(async () => {
      collectGarbage();
      const { rssBytes } = await readOwnMemory();
      expect(rssBytes).toBeLessThan(peakWhileHeld - 60 * MiB);
    }, 10_000);
    // The kernel keeps a process's counters per thread or CPU and adds them up late: two readings of one
    // peak may differ by some pages of each.
    expect(await readPeakRss()).toBeGreaterThan(peakWhileHeld - 8 * MiB);
    expect(await resetOwnPeakRss()).toBe(true);
    expect(await readPeakRss()).toBeLessThan(peakWhileHeld - 60 * MiB);
    expect(await resetOwnPeakRss('/nowhere')).toBe(false);
  });
});
