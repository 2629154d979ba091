import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { DataSlot } from '../../../src/store/data-slot.js';
import { temporaryFolder } from './databases.js';

test('a server has the same name at every start, and its own', () => {
  const folder = temporaryFolder();
  const first = DataSlot.take(folder);
  const second = DataSlot.take(folder);
  expect(second.server).not.toBe(first.server);
  expect(second.spillFile).not.toBe(first.spillFile);
  first.release();
  const again = DataSlot.take(folder);
  expect(again).toMatchObject({ server: first.server, spillFile: first.spillFile });
  expect(DataSlot.take(temporaryFolder()).server).not.toBe(again.server);
});

test('places whose servers are gone are taken over, those that are held are not', () => {
  const folder = temporaryFolder();
  const slots = [DataSlot.take(folder), DataSlot.take(folder), DataSlot.take(folder)];
  slots[1]?.release();
  const [left, ...more] = DataSlot.takeAbandoned(folder);
  expect(left?.server).toBe(slots[1]?.server);
  expect(more).toEqual([]);
  expect(DataSlot.takeAbandoned(folder)).toEqual([]);
  left?.remove();
  expect(DataSlot.takeAbandoned(folder)).toEqual([]);
  expect(DataSlot.take(folder).server).not.toBe(slots[1]?.server);
});

test('a place whose folder was deleted is taken anew, under the same name', () => {
  const folder = temporaryFolder();
  const slot = DataSlot.take(folder);
  const { server } = slot;
  rmSync(folder, { recursive: true });
  const other = DataSlot.take(folder);
  expect(slot.spillFile).not.toBe(other.spillFile);
  expect(slot.server).toBe(server);
  slot.release();
  other.release();
  const names = [DataSlot.take(folder), DataSlot.take(folder)].map((of) => of.server);
  expect(names).toEqual([other.server, server]);
});

test('the folder and its files are for their owner alone', () => {
  const folder = path.join(temporaryFolder(), 'data');
  const slot = DataSlot.take(folder);
  const modeOf = (file: string) => statSync(file).mode & 0o777;
  expect(modeOf(folder)).toBe(0o700);
  expect(modeOf(path.dirname(slot.spillFile))).toBe(0o700);
  expect(modeOf(path.join(folder, 'records', '1.lock'))).toBe(0o600);
  slot.release();
  chmodSync(folder, 0o755);
  DataSlot.take(folder).release();
  expect(modeOf(folder)).toBe(0o700);
  // A folder of somebody's that happens to be named, and one that all share, stay as they are.
  const shared = temporaryFolder();
  writeFileSync(path.join(shared, 'something of theirs'), '');
  chmodSync(shared, 0o755);
  DataSlot.take(shared).release();
  expect(modeOf(shared)).toBe(0o755);
  chmodSync(shared, 0o1777);
  DataSlot.take(shared).release();
  expect(statSync(shared).mode & 0o7777).toBe(0o1777);
});

test('a place is free when its process was killed', async () => {
  const folder = temporaryFolder();
  const libsql = fileURLToPath(import.meta.resolve('libsql'));
  // A process that holds the first place, as a server does.
  const slot = DataSlot.take(folder);
  slot.release();
  const lock = path.join(path.dirname(slot.spillFile), '1.lock');
  const script = `const lock = new (require(process.argv[1]))(process.argv[2]);
    lock.exec('begin exclusive'); console.log('held'); setInterval(() => lock, 1000);`;
  const child = spawn(process.execPath, ['-e', script, libsql, lock], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  const other = DataSlot.take(folder);
  expect(other.server).not.toBe(slot.server);
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  expect(DataSlot.take(folder).server).toBe(slot.server);
  expect(existsSync(lock)).toBe(true);
});
