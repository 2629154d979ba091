import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ifUnlocked, withFileLock } from '../../../../src/models/pull/file-lock.js';
import { temporaryFolder } from '../folders.js';

const { signal } = new AbortController();
const LONG_AGO = new Date(Date.now() - 3_600_000);

test('whoever was suspended for long learns that the lock is another one’s, and leaves that alone', async () => {
  const file = path.join(temporaryFolder(), 'file');
  await withFileLock(file, signal, async (held) => {
    expect(await held.isHeld()).toBe(true);
    // As if this process had stood still, and another one had found the lock stale.
    writeFileSync(`${file}.lock`, 'another owner');
    expect(await held.isHeld()).toBe(false);
  });
  expect(readFileSync(`${file}.lock`, 'utf8')).toBe('another owner');
  expect(await ifUnlocked(file, async () => 'done')).toBeUndefined();
});

test('a lock of somebody who died is taken over, and nothing is left of it', async () => {
  const folder = temporaryFolder();
  const file = path.join(folder, 'file');
  writeFileSync(`${file}.lock`, 'the dead');
  utimesSync(`${file}.lock`, LONG_AGO, LONG_AGO);
  expect(await ifUnlocked(file, async () => existsSync(`${file}.lock`))).toEqual({ value: true });
  expect(readdirSync(folder)).toEqual([]);
});

test('waiting for a lock ends when it is stopped', async () => {
  const file = path.join(temporaryFolder(), 'file');
  const stop = new AbortController();
  await withFileLock(file, signal, async () => {
    const waiting = withFileLock(file, stop.signal, async () => 'never');
    stop.abort(new Error('stopped by hand'));
    await expect(waiting).rejects.toThrow('stopped by hand');
  });
});
