import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { HubSettings } from '../../../../src/models/pull/hub-settings.js';
import { type PullProgress, pullModel } from '../../../../src/models/pull/pull.js';
import { COMMIT, HubServer } from '../../../servers/hub.js';
import { tableBytes, tinyGraph } from '../tiny-graph.js';

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
/** Pauses that were asked for, ms: none is waited for. */
const waits: number[] = [];
const wait = (ms: number): Promise<void> => {
  waits.push(ms);
  return Promise.resolve();
};

beforeEach(async () => {
  waits.length = 0;
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
    readonly dtype?: string;
  } = {},
) {
  const { endpoint } = hub;
  const settings = { endpoint, cacheFolder, token: '', isOffline: false, ...options.settings };
  return pullModel({
    ...{ settings, model: options.model ?? 'org/name', dtype: options.dtype ?? 'auto', wait },
    ...{
      signal: options.signal ?? stop.signal,
      onProgress: options.onProgress ?? (() => undefined),
    },
  });
}

const folder = () => path.join(cacheFolder, 'models--org--name');
const blobOf = (snapshot: string) =>
  path.basename(readlinkSync(path.join(snapshot, 'onnx/model.onnx')));
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
  [
    { status: 401, message: 'Invalid credentials in Authorization header' },
    'token',
    /does not know this token/,
  ],
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
  expect(hub.seen).toHaveLength(1);
});

describe('a model that was renamed', () => {
  test('is found under its new name, and cached under the one that was asked for', async () => {
    const pulled = await pull({ model: 'old/name', settings: { token: 'hf_secret' } });
    expect(pulled.folder).toContain('models--old--name');
    expect(readFileSync(path.join(pulled.folder, 'onnx/model.onnx')).equals(WEIGHTS)).toBe(true);
    const others = hub.seen.filter(({ host }) => host === 'storage');
    expect(others.every(({ authorization }) => authorization === undefined)).toBe(true);
  });
});

describe('a hub that is busy', () => {
  test('is asked again after the pause that it asks for', async () => {
    hub.faults.busy = { times: 2, status: 429, retryAfter: '7' };
    await pull();
    expect(waits).toEqual([7000, 7000]);
  });

  test('or breaks the connection: longer after each failure, and not for ever', async () => {
    hub.faults.resets = 2;
    await pull();
    expect(waits).toEqual([500, 1000]);
    hub.faults.busy = { times: 100, status: 503 };
    await expect(pull({ model: 'org/other' })).rejects.toMatchObject({ kind: 'network' });
    expect(100 - hub.faults.busy.times).toBe(5);
  });

  test('and wants a pause that nobody waits for: refused at once', async () => {
    hub.faults.busy = { times: 9, status: 429, retryAfter: '3600' };
    await expect(pull()).rejects.toMatchObject({ kind: 'network' });
    expect(waits).toEqual([]);
  });
});

describe('where the content is', () => {
  test('may expire: it is asked for anew, and no byte comes twice', async () => {
    Object.assign(hub.faults, { cutAfterBytes: 1_000_000, cuts: 1 });
    const pulled = await pull({
      onProgress: (progress) => {
        if (progress.kind === 'bytes' && progress.bytes > 0) hub.faults.expired ??= 1;
      },
    });
    expect(hub.faults.expired).toBe(0);
    expect(readFileSync(path.join(pulled.folder, 'onnx/model.onnx')).equals(WEIGHTS)).toBe(true);
    const ranges = hub.requestsFor('blob/onnx/model.onnx').map(({ range }) => range);
    expect(ranges.at(-1)).toMatch(/^bytes=[1-9]\d*-$/);
  });

  test('may lack the range: all of it is fetched', async () => {
    Object.assign(hub.faults, { cutAfterBytes: 1_000_000, cuts: 1, hasNoRanges: true });
    const pulled = await pull();
    expect(readFileSync(path.join(pulled.folder, 'onnx/model.onnx')).equals(WEIGHTS)).toBe(true);
  });

  test('is told without its signature when it refuses', async () => {
    hub.faults.expired = 1000;
    const refused = await pull().catch((error: unknown) => String(error));
    expect(refused).toContain('127.0.0.1');
    expect(refused).not.toContain('Signature');
  });
});

describe('the cache serves', () => {
  test('a pinned commit that was fetched whole, without any request', async () => {
    await pull({ model: `org/name@${COMMIT}` });
    const before = hub.seen.length;
    expect((await pull({ model: `org/name@${COMMIT}` })).commit).toBe(COMMIT);
    expect(hub.seen).toHaveLength(before);
    // Another type of weights is another question.
    await pull({ model: `org/name@${COMMIT}`, dtype: 'q8' });
    expect(hub.seen.length).toBeGreaterThan(before);
  });

  test.each([
    { status: 401 },
    { status: 403, code: 'GatedRepo' },
    { status: 404, code: 'RepoNotFound' },
  ])('what was fetched when the hub answers %j, with a warning', async (refuses) => {
    await pull();
    hub.faults.refuses = refuses;
    const seen: PullProgress[] = [];
    expect((await pull({ onProgress: (each) => seen.push(each) })).commit).toBe(COMMIT);
    expect(seen).toMatchObject([{ kind: 'warning', message: expect.stringMatching(/serves/) }]);
  });

  test('a folder that cannot be written, as long as it has everything', async () => {
    const { folder: snapshot } = await pull();
    const locks = path.join(cacheFolder, '.locks');
    rmSync(locks, { recursive: true, force: true });
    // In the way of the lock's folder: root may write anywhere.
    writeFileSync(locks, '');
    expect((await pull()).folder).toBe(snapshot);
  });

  test('a snapshot without links, as file systems without them have it', async () => {
    const { folder: snapshot } = await pull();
    const file = path.join(snapshot, 'onnx/model.onnx');
    rmSync(file);
    writeFileSync(file, WEIGHTS);
    rmSync(path.join(folder(), 'blobs'), { recursive: true });
    for (const name of ['config.json', 'tokenizer.json']) {
      rmSync(path.join(snapshot, name));
      writeFileSync(path.join(snapshot, name), FILES.get(name) ?? '');
    }
    const before = hub.requestsFor('model.onnx').length;
    await pull();
    expect(hub.requestsFor('model.onnx')).toHaveLength(before);
    expect(readFileSync(file).equals(WEIGHTS)).toBe(true);
  });
});

describe('a checksum counts only where the hub says which one it is', () => {
  test.each([
    ['40 digits that are no id of git', () => 'a'.repeat(40)],
    ['64 digits that are no SHA-256', () => 'b'.repeat(64)],
    ['signs that no file is called by', () => 'x/../:"y'],
    ['a checksum of several parts', () => 'd41d8cd98f00b204e9800998ecf8427e-12'],
  ])('ETags of %s', async (_, etagOf) => {
    // Two files must not have one ETag.
    hub.faults.etagOf = (content) =>
      etagOf().slice(0, -2) + (content.byteLength % 97).toString().padStart(2, '0');
    const pulled = await pull();
    expect(readFileSync(path.join(pulled.folder, 'config.json'), 'utf8')).toBe(
      '{"model_type":"bert"}',
    );
  });
});

test('content of another size than it has to be is fetched again', async () => {
  const { folder: snapshot } = await pull();
  const blob = path.join(folder(), 'blobs', blobOf(snapshot));
  writeFileSync(blob, WEIGHTS.subarray(0, 1000));
  await pull();
  expect(readFileSync(blob).equals(WEIGHTS)).toBe(true);
});

test('what another program appends to its own unfinished file does no harm', async () => {
  const { folder: snapshot } = await pull();
  const blob = path.join(folder(), 'blobs', blobOf(snapshot));
  rmSync(blob);
  writeFileSync(`${blob}.incomplete`, WEIGHTS.subarray(0, 1000));
  await pull({
    onProgress: (progress) => {
      if (progress.kind === 'bytes') appendFileSync(`${blob}.incomplete`, 'of another program');
    },
  });
  expect(readFileSync(blob).equals(WEIGHTS)).toBe(true);
});

test('bytes that come behind the end of our own unfinished file are noticed', async () => {
  const { folder: snapshot } = await pull();
  const blob = path.join(folder(), 'blobs', blobOf(snapshot));
  rmSync(blob);
  let isSpoilt = false;
  await pull({
    onProgress: (progress) => {
      if (progress.kind !== 'bytes' || progress.bytes < WEIGHTS.byteLength || isSpoilt) return;
      isSpoilt = true;
      for (const name of partials()) appendFileSync(path.join(folder(), 'blobs', name), 'more');
    },
  });
  expect(isSpoilt).toBe(true);
  expect(readFileSync(blob).equals(WEIGHTS)).toBe(true);
});

test('who loses the lock meanwhile takes it again, and reads what is there before it counts', async () => {
  const { folder: snapshot } = await pull();
  const blob = path.join(folder(), 'blobs', blobOf(snapshot));
  rmSync(blob);
  const lock = `${blob}.plimsoll.incomplete.lock`;
  let lost = 0;
  await pull({
    onProgress: (progress) => {
      if (progress.kind !== 'bytes' || lost > 0 || !existsSync(lock)) return;
      lost += 1;
      // Another process found it stale, wrote other bytes at the same time, and died.
      writeFileSync(lock, 'another owner');
      utimesSync(lock, new Date(0), new Date(0));
    },
  });
  expect(lost).toBe(1);
  expect(existsSync(lock)).toBe(false);
  expect(readFileSync(blob).equals(WEIGHTS)).toBe(true);
});

describe('what cannot be served is refused before its weights are fetched', () => {
  const start = async (files: ReadonlyMap<string, Buffer | undefined>) => {
    await hub.stop();
    const there = [...FILES, ...files].filter(
      (each): each is [string, Buffer] => each[1] !== undefined,
    );
    const all = new Map(there);
    for (const [name, content] of files) if (content === undefined) all.delete(name);
    hub = await HubServer.start(all);
  };
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));

  test.each([
    [
      'another task',
      { 'config.json': json({ architectures: ['BertForMaskedLM'] }) },
      /another task/,
    ],
    [
      'an encoder',
      { 'config.json': json({ architectures: ['BertModel'] }) },
      /without a classification head/,
    ],
    ['no tokenizer', { 'tokenizer.json': undefined }, /no tokenizer/],
    ['no config', { 'config.json': undefined }, /no config\.json/],
    [
      'safetensors of an unknown family',
      {
        'config.json': json({
          model_type: 'gpt2',
          architectures: ['GPT2ForSequenceClassification'],
        }),
        'onnx/model.onnx': undefined,
        'model.safetensors': WEIGHTS,
      },
      /cannot be compiled.*optimum-cli/,
    ],
  ])('%s', async (_, files, message) => {
    await start(new Map(Object.entries(files)));
    await expect(pull()).rejects.toMatchObject({
      kind: 'unservable',
      message: expect.stringMatching(message),
    });
    expect(
      hub.seen
        .filter(({ host }) => host === 'storage')
        .every(({ url }) => !/onnx|safetensors/.test(url)),
    ).toBe(true);
  });
});

describe('external data that is not named after its graph', () => {
  const graph = Buffer.from(tinyGraph({ external: 'weights/table.bin' }));

  test('is fetched by the name that the graph gives it', async () => {
    await hub.stop();
    const data = Buffer.from(tableBytes(2));
    const more = [...FILES, ['onnx/model.onnx', graph], ['onnx/weights/table.bin', data]] as const;
    hub = await HubServer.start(new Map(more));
    const pulled = await pull();
    expect(readFileSync(path.join(pulled.folder, 'onnx/weights/table.bin')).equals(data)).toBe(
      true,
    );
  });

  test('and that the hub lacks: refused', async () => {
    await hub.stop();
    hub = await HubServer.start(new Map([...FILES, ['onnx/model.onnx', graph]]));
    await expect(pull()).rejects.toMatchObject({
      kind: 'unservable',
      message: expect.stringMatching(/onnx\/weights\/table\.bin/),
    });
  });
});

test('a pull that is stopped while it waits for the list', async () => {
  const own = new AbortController();
  hub.faults.busy = { times: 1, status: 503 };
  const pulling = pullModel({
    settings: { endpoint: hub.endpoint, cacheFolder, token: '', isOffline: false },
    ...{ model: 'org/name', dtype: 'auto', signal: own.signal, onProgress: () => undefined },
    wait: async () => own.abort(),
  });
  await expect(pulling).rejects.toMatchObject({ kind: 'stopped' });
});
