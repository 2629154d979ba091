import { spawn } from 'node:child_process';
import { cpSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  checksumsOf,
  digestOfSources,
  faultOfContents,
  faultOfSizes,
} from '../../../../../src/models/compile/forms/checksums.js';
import {
  asDiskFailure,
  checkRoom,
  diskFailureBehind,
} from '../../../../../src/models/compile/forms/disk-failure.js';
import { lockFolder, tryLock } from '../../../../../src/models/compile/forms/folder-lock.js';
import { SourceDigests } from '../../../../../src/models/compile/forms/source-digests.js';
import { aModel } from '../../described.js';
import { temporaryFolder, write } from '../../folders.js';

const SPAM = fileURLToPath(new URL('../../../../../models/spam', import.meta.url));
const FILES = ['config.json', 'tokenizer.json', 'onnx/model.onnx'];

function copyOfSpam(): string {
  const folder = temporaryFolder();
  cpSync(SPAM, folder, { recursive: true });
  return folder;
}

describe('checksums', () => {
  test('of the same files are the same wherever they lie', async () => {
    const digest = await digestOfSources(SPAM, FILES);
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
    expect(await digestOfSources(copyOfSpam(), FILES)).toBe(digest);
    expect(await digestOfSources(SPAM, FILES.slice(1))).not.toBe(digest);
  });

  test('find a missing, a cut and an altered file, and nothing in whole ones', async () => {
    const folder = copyOfSpam();
    const files = await checksumsOf(folder, [...FILES, 'not-there']);
    expect(files.map(({ name }) => name)).toEqual(FILES);
    expect(await faultOfContents(folder, files)).toBeUndefined();
    const graph = path.join(folder, 'onnx/model.onnx');
    const { size } = statSync(graph);
    const content = Buffer.alloc(size, 1);
    writeFileSync(graph, content);
    expect(await faultOfSizes(folder, files)).toBeUndefined();
    expect(await faultOfContents(folder, files)).toBe(
      'the contents of onnx/model.onnx have changed',
    );
    truncateSync(graph, 100);
    expect(await faultOfSizes(folder, files)).toBe(
      `onnx/model.onnx has 100 bytes instead of ${size}`,
    );
    rmSync(graph);
    expect(await faultOfContents(folder, files)).toBe('onnx/model.onnx is missing');
  });
});

describe('digests of sources', () => {
  test('are remembered while nothing changes, also by the next server', async () => {
    const data = temporaryFolder();
    const model = aModel('m', { directory: copyOfSpam(), files: FILES });
    const fresh = () => new SourceDigests(() => data);
    expect(await fresh().known(model)).toBeUndefined();
    await fresh().keep(model, 'digest');
    expect(await fresh().known(model)).toBe('digest');
  });

  test('are forgotten for another place, and for a file that was altered under its old time', async () => {
    const data = temporaryFolder();
    const model = aModel('m', { directory: copyOfSpam(), files: FILES });
    const digests = () => new SourceDigests(() => data);
    await digests().keep(model, 'digest');
    expect(await digests().known({ ...model, directory: copyOfSpam() })).toBeUndefined();
    const file = path.join(model.directory, 'config.json');
    const { size, atime, mtime } = statSync(file);
    writeFileSync(file, Buffer.alloc(size, 32));
    utimesSync(file, atime, mtime);
    expect(await digests().known(model)).toBeUndefined();
  });

  test('that cannot be read cost a reading of the files, not the model', async () => {
    const data = temporaryFolder();
    const model = aModel('m', { directory: copyOfSpam(), files: FILES });
    write(data, { 'sources.json': '{ broken' });
    expect(await new SourceDigests(() => data).known(model)).toBeUndefined();
  });
});

describe('the lock of a folder', () => {
  const never = new AbortController().signal;

  test('is held by one at a time, and keeps out nobody once its folder is gone', async () => {
    const folder = path.join(temporaryFolder(), 'deeper');
    const first = await tryLock(folder);
    expect(first).toBeDefined();
    expect(await tryLock(folder)).toBeUndefined();
    expect(await lockFolder(folder, { waitMs: 0, signal: never })).toBeUndefined();
    rmSync(folder, { recursive: true });
    const second = await tryLock(folder);
    expect(second).toBeDefined();
    await first?.release();
    expect(await tryLock(folder)).toBeUndefined();
    await second?.release();
    const third = await tryLock(folder);
    expect(third).toBeDefined();
    await third?.release();
  });

  test('ends with the process that held it, which may be killed', async () => {
    const folder = temporaryFolder();
    const script = 'echo locked; exec sleep 600';
    const holder = spawn(
      'flock',
      ['--no-fork', path.join(folder, '.lock'), '/bin/sh', '-c', script],
      {
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    );
    onTestFinished(() => void holder.kill('SIGKILL'));
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    expect(await tryLock(folder)).toBeUndefined();
    const waiting = lockFolder(folder, { waitMs: 30_000, signal: never });
    holder.kill('SIGKILL');
    const lock = await waiting;
    expect(lock).toBeDefined();
    await lock?.release();
  });

  test('is waited for until the server stops', async () => {
    const folder = temporaryFolder();
    const lock = await tryLock(folder);
    const stop = new AbortController();
    const waiting = lockFolder(folder, { waitMs: 30_000, signal: stop.signal });
    stop.abort(new Error('stopped'));
    await expect(waiting).rejects.toThrow(/stopped|abort/);
    await lock?.release();
  });
});

describe('a failure of the disk', () => {
  test('is told from one of the model by its code, and by where the file lies', async () => {
    const data = temporaryFolder();
    let full: unknown;
    try {
      writeFileSync('/dev/full', 'a');
    } catch (error) {
      full = error;
    }
    const failure = asDiskFailure(full, data);
    expect(failure).toMatchObject({ code: 'STORAGE_UNAVAILABLE', status: 503, retryable: true });
    expect(failure?.message).toMatch(/full: make room/);
    const missing = (file: string) => {
      try {
        return statSync(file);
      } catch (error) {
        return error;
      }
    };
    expect(asDiskFailure(missing(path.join(data, 'a')), data)?.message).toMatch(/was removed/);
    expect(asDiskFailure(missing(path.join(SPAM, 'not-there')), data)).toBeUndefined();
    expect(asDiskFailure(new Error('no code'), data)).toBeUndefined();
  });

  test('is looked for behind errors that have no code', async () => {
    const data = temporaryFolder();
    expect(await diskFailureBehind(new Error('of the graph'), data)).toBeUndefined();
    const gone = path.join(data, 'gone');
    expect(await diskFailureBehind(new Error('of the graph'), gone)).toMatchObject({
      code: 'STORAGE_UNAVAILABLE',
    });
  });

  test('is foreseen where there is no room', async () => {
    const data = temporaryFolder();
    await checkRoom(data, 1);
    await expect(checkRoom(data, 2 ** 60)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    await expect(checkRoom(data, 2 ** 60)).rejects.toThrow(/\d+ MB are free: make room/);
  });
});
