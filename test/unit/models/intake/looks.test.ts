/** Looks at models whose disk hangs: a pipe without a writer, on which an open file waits in one of Node's threads. */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ModelRepository } from '../../../../src/models/intake/repository.js';
import { temporaryFolder, writeModel } from '../folders.js';

const STUCK = { 'onnx/model.onnx': undefined, 'model.safetensors': 'x' };
const HANGS = { code: 'STORAGE_UNAVAILABLE', retryAfterSeconds: 5 };
const turn = () => new Promise((resolve) => setImmediate(resolve));

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** A folder with these models, all of which hang while they are read as long as the disk does. */
function onDisk(names: readonly string[]) {
  const root = temporaryFolder();
  for (const name of names) writeModel(root, name, STUCK);
  const pipe = path.join(temporaryFolder(), 'pipe');
  execFileSync('mkfifo', [pipe]);
  const disk = { looks: 0, hangs: true };
  // What is asked while a folder with safetensors is read.
  const refuse = async () => {
    disk.looks += 1;
    if (disk.hangs) await (await open(pipe, 'r')).close();
    return 'it is none for a test';
  };
  const repository = new ModelRepository(root, 'auto', { refuse });
  /** Every look that hangs goes on. */
  const heal = () => {
    disk.hangs = false;
    closeSync(openSync(pipe, 'r+'));
  };
  const begun = async (count: number) => {
    while (disk.looks < count) await turn();
  };
  return { root, disk, repository, heal, begun };
}

/** All of them are told that the disk hangs, once its time is over. */
async function allHang(work: readonly Promise<unknown>[], ms: number): Promise<void> {
  const told = Promise.all(work.map((one) => expect(one).rejects.toMatchObject(HANGS)));
  await vi.advanceTimersByTimeAsync(ms);
  await told;
}

test('hundreds who ask for a model share one look, and are told that it hangs', async () => {
  const { disk, repository, heal, begun } = onDisk(['a']);
  const asked = Array.from({ length: 300 }, () => repository.find('a'));
  await begun(1);
  await allHang(asked, 5000);
  // From then on nobody waits, whatever the name.
  await expect(repository.find('a')).rejects.toMatchObject(HANGS);
  await expect(repository.refreshInTime('b')).rejects.toMatchObject(HANGS);
  await expect(repository.tokenizerOf('c')).rejects.toMatchObject(HANGS);
  expect(disk.looks).toBe(1);
  heal();
  await vi.waitFor(() =>
    expect(repository.find('a')).rejects.toMatchObject({ code: 'MODEL_UNUSABLE' }),
  );
});

test('looks for many names leave threads for other files', async () => {
  const names = Array.from({ length: 50 }, (_, n) => `model-${n}`);
  const { root, disk, repository, heal, begun } = onDisk(names);
  const asked = names.map((name) => repository.find(name));
  await begun(2);
  const file = path.join(root, 'model-0', 'config.json');
  for (let n = 0; n < 20; n += 1) expect(await readFile(file, 'utf8')).toContain('Bert');
  expect(disk.looks).toBe(2);
  await allHang(asked, 5000);
  heal();
});

test('all who ask for the list share one scan; it may take longer', async () => {
  const { disk, repository, heal, begun } = onDisk(['a']);
  const asked = Array.from({ length: 300 }, () => repository.scanInTime());
  await begun(1);
  await vi.advanceTimersByTimeAsync(5000);
  await expect(Promise.race([...asked, Promise.resolve('none has ended')])).resolves.toBe(
    'none has ended',
  );
  await allHang(asked, 25_000);
  await expect(repository.scanInTime()).rejects.toMatchObject(HANGS);
  expect(disk.looks).toBe(1);
  heal();
  await vi.waitFor(() => repository.scanInTime());
  expect(repository.listBroken()).toMatchObject([{ id: 'a' }]);
});
