/**
 * The real kernel's figures. In a file of its own, and thus in a process of its own: what other tests
 * left behind would be freed while this one measures.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { collectGarbage } from '../../../src/system/own-process.js';
import {
  readOwnMemory,
  readPeakRss,
  readProcessMemory,
} from '../../../src/system/process-memory.js';

const MiB = 2 ** 20;

/** Our memory once V8 has given back what it frees on its own threads after a collection. */
async function settledMemory() {
  collectGarbage();
  let previous = await readOwnMemory();
  for (let reading = 0; reading < 100; reading++) {
    await setImmediate();
    const next = await readOwnMemory();
    if (Math.abs(next.privateBytes - previous.privateBytes) < MiB / 4) return next;
    previous = next;
  }
  return previous;
}

test('our private memory rises by a buffer that is written to', async () => {
  const before = await settledMemory();
  const buffer = Buffer.alloc(64 * MiB, 1);
  const after = await readOwnMemory();
  expect(after.source).toBe('smaps_rollup');
  expect(after.privateBytes - before.privateBytes).toBeGreaterThanOrEqual(60 * MiB);
  expect(after.rssBytes).toBeGreaterThanOrEqual(after.pssBytes);
  expect(await readPeakRss()).toBeGreaterThanOrEqual(after.rssBytes - MiB);
  expect(buffer[0]).toBe(1);
});

test('a child’s private memory rises the same way, and is gone when the child is', async () => {
  const script = `let kept; process.on('message', (bytes) => {
    kept = Buffer.alloc(bytes, 1); process.send(kept.length); }); process.send(0);`;
  const child = spawn(process.execPath, ['-e', script], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const pid = child.pid ?? 0;
  await once(child, 'message');
  const before = await readProcessMemory(pid);
  child.send(64 * MiB);
  await once(child, 'message');
  const after = await readProcessMemory(pid);
  const risenBytes = (after?.privateBytes ?? 0) - (before?.privateBytes ?? 0);
  expect(risenBytes).toBeGreaterThanOrEqual(60 * MiB);
  expect(await readPeakRss(pid)).toBeGreaterThanOrEqual(60 * MiB);

  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(await readProcessMemory(pid)).toBeUndefined();
  expect(await readPeakRss(pid)).toBeUndefined();
});
