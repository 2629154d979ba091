import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { HubSettings } from '../../../../src/models/pull/hub-settings.js';
import { type PullProgress, pullModel } from '../../../../src/models/pull/pull.js';
import { COMMIT, HubServer } from '../../../servers/hub.js';

const WEIGHTS = randomBytes(3_000_000);
const FILES = new Map([
  ['config.json', Buffer.from('{"model_type":"bert"}')],
  ['tokenizer.json', randomBytes(5000)],
  ['README.md', Buffer.from('not needed')],
  ['pytorch_model.bin', randomBytes(2000)],
  ['onnx/model.onnx', WEIGHTS],
]);
let hub: HubServer;
let cacheFolder: string;
const stop = new AbortController();

beforeEach(async () => {
  hub = await HubServer.start(FILES);
  cacheFolder = mkdtempSync(path.join(tmpdir(), 'plimsoll-hub-'));
});

afterEach(async () => {
  await hub.stop();
  rmSync(cacheFolder, { recursive: true, force: true });
});

function pull(
  options: {
    readonly model?: string;
    readonly settings?: Partial<HubSettings>;
    readonly signal?: AbortSignal;
    readonly onProgress?: (progress: PullProgress) => void;
  } = {},
) {
  const { endpoint } = hub;
  const settings = { endpoint, cacheFolder, token: '', isOffline: false, ...options.settings };
  return pullModel({
    ...{ settings, model: options.model ?? 'org/name', dtype: 'auto' },
    ...{
      signal: options.signal ?? stop.signal,
      onProgress: options.onProgress ?? (() => undefined),
    },
  });
}

const folder = () => path.join(cacheFolder, 'models--org--name');
const partials = () =>
  readdirSync(path.join(folder(), 'blobs')).filter((name) => name.endsWith('.incomplete'));

test('brings what serving needs into the layout of the cache, and nothing else', async () => {
  const pulled = await pull();
  expect(pulled).toMatchObject({ id: 'org/name', revision: 'main', commit: COMMIT });
  const files = readdirSync(pulled.folder, { recursive: true }).map(String).sort();
  expect(files).toEqual(['config.json', 'onnx', 'onnx/model.onnx', 'tokenizer.json']);
  expect(readFileSync(path.join(pulled.folder, 'onnx/model.onnx')).equals(WEIGHTS)).toBe(true);
  expect(readFileSync(path.join(folder(), 'refs/main'), 'utf8')).toBe(COMMIT);
  expect(readlinkSync(path.join(pulled.folder, 'onnx/model.onnx'))).toMatch(
    /^\.\.\/\.\.\/\.\.\/blobs\/[0-9a-f]{64}$/,
  );
  expect(partials()).toEqual([]);
});

test('fetches nothing twice, and serves from the cache without a hub', async () => {
  await pull();
  const before = hub.requestsFor('model.onnx').length;
  const seen: PullProgress[] = [];
  await pull({ onProgress: (progress) => seen.push(progress) });
  expect(hub.requestsFor('model.onnx')).toHaveLength(before);
  expect(seen.filter((each) => each.kind === 'file-done')).toHaveLength(3);
  expect(seen.every((each) => each.kind !== 'file-done' || each.fromCache)).toBe(true);
  const offline = await pull({ settings: { isOffline: true } });
  expect(offline.folder).toBe((await pull({ model: `org/name@${COMMIT}` })).folder);
  await hub.stop();
  expect((await pull()).commit).toBe(COMMIT);
  expect((await pull({ model: `org/name@${COMMIT}` })).commit).toBe(COMMIT);
});

test('several at once fetch each file once', async () => {
  const pulled = await Promise.all([pull(), pull(), pull()]);
  expect(new Set(pulled.map((each) => each.folder)).size).toBe(1);
  expect(hub.requestsFor('blob/onnx/model.onnx')).toHaveLength(1);
  expect(partials()).toEqual([]);
});

test('a folder that cannot be written: said, and nothing is left that looks like the file', async () => {
  const file = path.join(cacheFolder, 'in-the-way');
  writeFileSync(file, '');
  await expect(pull({ settings: { cacheFolder: file } })).rejects.toMatchObject({ kind: 'disk' });
});

describe('a connection that breaks', () => {
  test('is taken up again where it broke, and no byte comes twice', async () => {
    Object.assign(hub.faults, { cutAfterBytes: 1_000_000, cuts: 2 });
    const pulled = await pull();
    expect(readFileSync(path.join(pulled.folder, 'onnx/model.onnx')).equals(WEIGHTS)).toBe(true);
    const ranges = hub.requestsFor('blob/onnx/model.onnx').map(({ range }) => range);
    expect(ranges).toHaveLength(3);
    expect(ranges[0]).toBeUndefined();
    const starts = ranges.slice(1).map((range) => Number(/\d+/.exec(range ?? '')?.[0]));
    expect(starts[0]).toBeGreaterThan(0);
    expect(starts[1]).toBeGreaterThan(starts[0] ?? 0);
  });

  test('and a pull that was stopped go on at the next one', async () => {
    const own = new AbortController();
    await expect(
      pull({
        signal: own.signal,
        onProgress: (progress) => {
          if (progress.kind === 'bytes' && progress.bytes > 500_000) own.abort();
        },
      }),
    ).rejects.toThrow(/stopped/);
    // The small files may be on their way, too.
    expect(partials().length).toBeGreaterThan(0);
    expect(existsSync(path.join(folder(), 'refs/main'))).toBe(false);
    const pulled = await pull();
    expect(readFileSync(path.join(pulled.folder, 'onnx/model.onnx')).equals(WEIGHTS)).toBe(true);
    expect(hub.requestsFor('blob/onnx/model.onnx').at(-1)?.range).toMatch(/^bytes=[1-9]\d*-$/);
    expect(partials()).toEqual([]);
  });
});

test('wrong bytes are found by the checksum, never kept, and not taken up again', async () => {
  hub.faults.damages = true;
  await expect(pull()).rejects.toMatchObject({ kind: 'checksum' });
  hub.faults.damages = false;
  const pulled = await pull();
  expect(readFileSync(path.join(pulled.folder, 'onnx/model.onnx')).equals(WEIGHTS)).toBe(true);
});

test('the token goes to the hub, and not to the storage that it redirects to', async () => {
  await pull({ settings: { token: 'hf_secret' } });
  const of = (host: string) => hub.seen.filter((request) => request.host === host);
  expect(of('hub').length).toBeGreaterThan(3);
  expect(of('hub').every(({ authorization }) => authorization === 'Bearer hf_secret')).toBe(true);
  expect(of('storage').length).toBeGreaterThan(0);
  expect(of('storage').every(({ authorization }) => authorization === undefined)).toBe(true);
});

test.each([
  [{ status: 403, code: 'GatedRepo' }, 'gated', /accept its terms.*HF_TOKEN/],
  [{ status: 401, code: 'RepoNotFound' }, 'missing', /no such model, or it is private/],
  [{ status: 404, code: 'RevisionNotFound' }, 'revision', /branch, tag or commit/],
  [{ status: 403 }, 'token', /HF_TOKEN/],
  [{ status: 503 }, 'network', /503/],
])('a hub that answers %j', async (refuses, kind, message) => {
  hub.faults.refuses = refuses;
  await expect(pull()).rejects.toMatchObject({ kind, message: expect.stringMatching(message) });
});

test('a model, a revision, an id that is not there', async () => {
  await expect(pull({ model: 'org/other' })).rejects.toMatchObject({ kind: 'missing' });
  await expect(pull({ model: 'org/name@v9' })).rejects.toMatchObject({ kind: 'revision' });
  for (const model of ['', '../x', 'a/b/c', 'org/..', 'org/name@../x', 'org/na me']) {
    await expect(pull({ model })).rejects.toThrow(/write it as org\/name/);
  }
  await expect(pull({ settings: { isOffline: true } })).rejects.toMatchObject({ kind: 'offline' });
  await hub.stop();
  await expect(pull()).rejects.toMatchObject({ kind: 'network' });
});

test('a model without weights that can be served is refused before anything is fetched', async () => {
  await hub.stop();
  hub = await HubServer.start(new Map([...FILES].filter(([name]) => !name.endsWith('.onnx'))));
  await expect(pull()).rejects.toMatchObject({
    kind: 'unservable',
    message: expect.stringMatching(/pytorch_model\.bin.*optimum-cli/),
  });
  expect(hub.seen.filter(({ method }) => method === 'HEAD')).toEqual([]);
});
