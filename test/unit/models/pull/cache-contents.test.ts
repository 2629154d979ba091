import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  cachedCommits,
  cachedIds,
  planRemoval,
  removeFromCache,
} from '../../../../src/models/pull/cache-contents.js';
import { CachedModel } from '../../../../src/models/pull/cache-folder.js';
import { withFileLock } from '../../../../src/models/pull/file-lock.js';

const [FIRST, SECOND] = ['a'.repeat(40), 'b'.repeat(40)];
let cache: string;
let model: CachedModel;

/** Two revisions that share their tokenizer. */
beforeEach(async () => {
  cache = mkdtempSync(path.join(tmpdir(), 'plimsoll-cache-'));
  model = new CachedModel(cache, 'org/name');
  mkdirSync(path.join(model.folder, 'blobs'), { recursive: true });
  for (const blob of ['shared', 'old', 'new']) writeFileSync(model.blob(blob), 'x'.repeat(9000));
  for (const [commit, weights] of [
    [FIRST, 'old'],
    [SECOND, 'new'],
  ] as const) {
    await model.link(commit, 'tokenizer.json', 'shared');
    await model.link(commit, 'onnx/model.onnx', weights);
  }
  await model.keepRevision('v1', FIRST);
  await model.keepRevision('main', SECOND);
});

afterEach(() => rmSync(cache, { recursive: true, force: true }));

const plan = (revision: string | undefined, id = 'org/name') =>
  planRemoval(cache, { id, revision });
const remove = (revision: string | undefined) =>
  removeFromCache(cache, { id: 'org/name', revision });

test('a revision goes with its references and what no other revision has', async () => {
  const removal = await plan('v1');
  expect(removal).toMatchObject({ commits: [FIRST], kept: [SECOND] });
  expect(removal?.bytes).toBeGreaterThanOrEqual(9000);
  expect(removal?.bytes).toBeLessThan(18_000);
  expect(await cachedCommits(cache, 'org/name')).toEqual([FIRST, SECOND]);
  await remove('v1');
  expect(await cachedCommits(cache, 'org/name')).toEqual([SECOND]);
  const there = ['shared', 'old', 'new'].map((blob) => existsSync(model.blob(blob)));
  expect(there).toEqual([true, false, true]);
  expect(await model.commitOf('v1')).toBeUndefined();
  expect(await model.filesOf(SECOND)).toContain('onnx/model.onnx');
});

test('all revisions, and the last one, go with the folder', async () => {
  await remove(FIRST);
  const last = await plan('main');
  expect(last).toMatchObject({ commits: [SECOND], kept: [] });
  await remove('main');
  expect(existsSync(model.folder)).toBe(false);
  expect(await cachedIds(cache)).toEqual([]);
});

test('what is not there, and what is being fetched, is left alone', async () => {
  expect(await plan(undefined, 'org/other')).toBeUndefined();
  await expect(plan('v9')).rejects.toThrow(/is not in the cache; it has a{40}, b{40}/);
  writeFileSync(`${model.blob('more')}.incomplete.lock`, '');
  await expect(plan(undefined)).rejects.toThrow(/being fetched/);
});

test('the model is not removed while a pull holds it, and as it is afterwards', async () => {
  mkdirSync(path.dirname(model.lock));
  const stop = new AbortController();
  await withFileLock(model.lock, stop.signal, async () => {
    await expect(remove(undefined)).rejects.toThrow(/being fetched: wait for it/);
    expect(await cachedCommits(cache, 'org/name')).toEqual([FIRST, SECOND]);
  });
  // A pull had brought it again since the removal was planned.
  await model.link('c'.repeat(40), 'tokenizer.json', 'shared');
  expect(await remove('v1')).toMatchObject({ commits: [FIRST], kept: [SECOND, 'c'.repeat(40)] });
  expect(existsSync(model.blob('shared'))).toBe(true);
  expect(existsSync(`${model.lock}.lock`)).toBe(false);
});

test('a lock that somebody left behind keeps nobody out', async () => {
  mkdirSync(path.dirname(model.lock));
  writeFileSync(`${model.lock}.lock`, '');
  const longAgo = new Date(Date.now() - 3_600_000);
  utimesSync(`${model.lock}.lock`, longAgo, longAgo);
  expect(await remove(undefined)).toMatchObject({ kept: [] });
  expect(existsSync(model.folder)).toBe(false);
});
