import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { takeAbandoned, takeSlot } from '../../../src/store/data-slot.js';
import { temporaryFolder } from './databases.js';

test('a server has the same name at every start, and its own', () => {
  const folder = temporaryFolder();
  const first = takeSlot(folder);
  const second = takeSlot(folder);
  expect(second.server).not.toBe(first.server);
  expect(second.spillFile).not.toBe(first.spillFile);
  first.release();
  const again = takeSlot(folder);
  expect(again).toMatchObject({ server: first.server, spillFile: first.spillFile });
  expect(takeSlot(temporaryFolder()).server).not.toBe(again.server);
});

test('places whose servers are gone are taken over, those that are held are not', () => {
  const folder = temporaryFolder();
  const slots = [takeSlot(folder), takeSlot(folder), takeSlot(folder)];
  slots[1]?.release();
  const [left, ...more] = takeAbandoned(folder);
  expect(left?.server).toBe(slots[1]?.server);
  expect(more).toEqual([]);
  expect(takeAbandoned(folder)).toEqual([]);
  left?.remove();
  expect(takeAbandoned(folder)).toEqual([]);
  expect(takeSlot(folder).server).not.toBe(slots[1]?.server);
});

test('a place is free when its process was killed', async () => {
  const folder = temporaryFolder();
  const libsql = fileURLToPath(import.meta.resolve('libsql'));
  // A process that holds the first place, as a server does.
  const slot = takeSlot(folder);
  slot.release();
  const lock = path.join(path.dirname(slot.spillFile), '1.lock');
  const script = `const lock = new (require(process.argv[1]))(process.argv[2]);
    lock.exec('begin exclusive'); console.log('held'); setInterval(() => lock, 1000);`;
  const child = spawn(process.execPath, ['-e', script, libsql, lock], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  const other = takeSlot(folder);
  expect(other.server).not.toBe(slot.server);
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  expect(takeSlot(folder).server).toBe(slot.server);
  expect(existsSync(lock)).toBe(true);
});
