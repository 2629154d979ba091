import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test, vi } from 'vitest';
import { FrugalMemoryReader, isWalkDue } from '../../../src/system/frugal-reader.js';
import {
  type ProcessMemory,
  parseStatus,
  privateBytesOf,
  readOwnPrivateBytes,
  readProcessMemory,
  readStatus,
} from '../../../src/system/process-memory.js';
import { capturedRoot, layOut } from './trees.js';

const KiB = 1024;
const MiB = 2 ** 20;
const GiB = 2 ** 30;

const walked = (bytes: Partial<ProcessMemory>): ProcessMemory => ({
  rssBytes: 3 * GiB,
  pssBytes: 2 * GiB,
  privateBytes: GiB,
  sharedBytes: GiB,
  privateCleanBytes: GiB,
  swapBytes: 0,
  source: 'smaps_rollup',
  ...bytes,
});

const statusOf = (mb: { readonly anon: number; readonly file: number; readonly swap?: number }) =>
  layOut({
    'proc/7/status': [
      'Name:\tnode',
      `RssAnon:\t${mb.anon * KiB} kB`,
      `RssFile:\t${mb.file * KiB} kB`,
      'RssShmem:\t0 kB',
      `VmSwap:\t${(mb.swap ?? 0) * KiB} kB`,
      'HugetlbPages:\t0 kB',
    ].join('\n'),
  });

test('a small process is walked every time, a large one for a fifth of a percent of a core', () => {
  expect(isWalkDue(100 * MiB, 0)).toBe(true);
  expect(isWalkDue(GiB, 0)).toBe(false);
  expect(isWalkDue(GiB, 8900)).toBe(false);
  expect(isWalkDue(GiB, 9100)).toBe(true);
});

test('between two walks private and RSS are of now, the shared part is in proportion', async () => {
  const walk = vi.fn(async () => walked({}));
  const root = statusOf({ anon: 1524, file: 1024 });
  const reader = new FrugalMemoryReader(7, walk, root);
  expect(await reader.read()).toEqual(walked({}));
  // 2 GiB were mapped and 1 GiB of it counted for this process; 1 GiB is mapped now.
  expect(await reader.read()).toEqual({
    rssBytes: 2548 * MiB,
    privateBytes: 1524 * MiB,
    pssBytes: (1524 + 512) * MiB,
    sharedBytes: 512 * MiB,
    privateCleanBytes: 512 * MiB,
    swapBytes: 0,
    source: 'status',
  });
  expect(walk).toHaveBeenCalledTimes(1);
});

test('swapped pages are private, but no part of RSS or PSS', async () => {
  const root = statusOf({ anon: 924, file: 2048, swap: 100 });
  const reader = new FrugalMemoryReader(7, async () => walked({}), root);
  await reader.read();
  const next = await reader.read();
  expect(next.privateBytes).toBe(1024 * MiB);
  expect(next.swapBytes).toBe(100 * MiB);
  expect(next.rssBytes).toBe(2972 * MiB);
  expect(next.pssBytes).toBe((924 + 1024) * MiB);
});

test('it walks again when that is due, and when the process has become small', async () => {
  const walk = vi.fn(async () => walked({}));
  const small = new FrugalMemoryReader(7, walk, statusOf({ anon: 60, file: 30 }));
  await small.read();
  await small.read();
  expect(walk).toHaveBeenCalledTimes(2);

  vi.useFakeTimers({ toFake: ['performance'] });
  try {
    const large = new FrugalMemoryReader(7, walk, statusOf({ anon: 1024, file: 1024 }));
    await large.read();
    vi.advanceTimersByTime(17_900);
    await large.read();
    expect(walk).toHaveBeenCalledTimes(3);
    vi.advanceTimersByTime(300);
    await large.read();
    expect(walk).toHaveBeenCalledTimes(4);
  } finally {
    vi.useRealTimers();
  }
});

test('without counts, and without an exact reading before, it walks', async () => {
  const walk = vi.fn(async () => walked({}));
  const uncounted = new FrugalMemoryReader(7, walk, layOut({ 'proc/7/status': 'Name:\tnode\n' }));
  await uncounted.read();
  await uncounted.read();
  expect(walk).toHaveBeenCalledTimes(2);

  const coarse = vi.fn(async () => walked({ source: 'statm' }));
  const reader = new FrugalMemoryReader(7, coarse, statusOf({ anon: 1024, file: 2048 }));
  await reader.read();
  expect((await reader.read()).source).toBe('statm');

  const gone = new FrugalMemoryReader(7, async () => undefined, statusOf({ anon: 1, file: 1 }));
  expect(await gone.read()).toBeUndefined();
});

test('the kernel’s counts of the captured process are those of its smaps_rollup', async () => {
  const root = capturedRoot('v1-limited');
  expect(await readOwnPrivateBytes(root)).toBe(47324 * KiB);
});

test('a kernel that does not count anonymous pages says nothing of private bytes', () => {
  expect(privateBytesOf(parseStatus('VmHWM:\t100 kB\nVmSwap:\t4 kB\n'))).toBeUndefined();
});

test('a real process: both ways find the same private bytes', async () => {
  const script = `const kept = Buffer.alloc(40 * 2 ** 20, 1);
    process.on('message', () => {}); process.send(kept.length);`;
  const child = spawn(process.execPath, ['-e', script], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const pid = child.pid ?? 0;
  await once(child, 'message');
  const exact = await readProcessMemory(pid);
  const status = await readStatus(pid);
  const counted = status && privateBytesOf(status);
  expect(exact?.privateBytes).toBeGreaterThan(40 * MiB);
  expect(Math.abs((counted ?? 0) - (exact?.privateBytes ?? 0))).toBeLessThanOrEqual(MiB);
  child.kill('SIGKILL');
  await once(child, 'exit');
});
