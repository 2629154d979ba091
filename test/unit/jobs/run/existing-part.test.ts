import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { FILE_FORMATS, type JobRequest } from '../../../../src/contract/jobs.js';
import { encode, Formats } from '../../../../src/jobs/formats/formats.js';
import { type Shard, ShardFailure } from '../../../../src/jobs/queue/queue.js';
import { findExistingPart } from '../../../../src/jobs/run/existing-part.js';
import { partNameOf } from '../../../../src/jobs/run/part.js';
import { builtThread } from '../built-thread.js';
import { localPlaces, one, signal, temporaryFolder } from '../reading.js';

const folder = await temporaryFolder();
const places = localPlaces();
const formats = new Formats(places, await builtThread(folder));
const writer = places.writer(folder);
const MODEL = { id: 'spam', commit: 'abc', dtype: 'fp32' };
const COLUMNS = [
  { name: 'label', type: 'text' },
  { name: 'error', type: 'text' },
] as const;
const ROWS = [
  { label: 'spam', error: null },
  { label: null, error: 'row 1 of this part: text is not a text' },
  { label: 'ham', error: null },
];

async function shardOf(name: string, rows: number): Promise<Shard> {
  const file = path.join(folder, name);
  const lines = Array.from({ length: rows }, (_, n) => JSON.stringify({ text: `mail ${n}` }));
  await writeFile(file, lines.join('\n'));
  const found = await one(places, file);
  return { index: 0, file: found, range: { unit: 'bytes', start: 0, end: found.bytes } };
}

async function written(name: string, request: JobRequest) {
  const { format = 'jsonl', compression = 'none' } = request;
  const chunks = encode(
    (async function* () {
      yield ROWS;
    })(),
    { format, compression, columns: COLUMNS },
  );
  return writer.write(name, chunks, signal);
}

const look = (name: string, request: JobRequest, shard: Shard) =>
  findExistingPart(name, request, shard, { places, formats, writer }, signal);

const KINDS: readonly Pick<JobRequest, 'format' | 'compression'>[] = [
  ...FILE_FORMATS.map((format) => ({ format, compression: 'none' as const })),
  { format: 'jsonl', compression: 'gzip' },
  { format: 'csv', compression: 'gzip' },
];

test.each(KINDS)('a part that is there is taken as it is: $format, $compression', async (kind) => {
  const request: JobRequest = { input: folder, output: folder, ...kind };
  const shard = await shardOf(`in-${kind.format}-${kind.compression}.jsonl`, 3);
  const name = partNameOf(request, shard, MODEL);
  expect(await look(name, request, shard)).toBeUndefined();
  const { bytes, sha256 } = await written(name, request);
  expect(await look(name, request, shard)).toEqual({ part: name, bytes, sha256, rows: 3, bad: 1 });
});

test('a part that lacks rows, or is broken, is damaged', async () => {
  const request: JobRequest = { input: folder, output: folder };
  const shard = await shardOf('more.jsonl', 4);
  const name = partNameOf(request, shard, MODEL);
  await written(name, request);
  expect(await look(name, request, shard)).toBe('damaged');
  for (const content of ['', '{"label":"spam","err', '{}\n{}\n{}\n{}\n']) {
    await writeFile(path.join(folder, name), content);
    expect(await look(name, request, shard)).toBe('damaged');
  }
});

test('a shard whose file has changed fails alone', async () => {
  const request: JobRequest = { input: folder, output: folder };
  const shard = await shardOf('changed.jsonl', 3);
  const name = partNameOf(request, shard, MODEL);
  await written(name, request);
  await shardOf('changed.jsonl', 5);
  await expect(look(name, request, shard)).rejects.toThrow(ShardFailure);
});

test('the name of a part is that of its rows, what is asked, and the model; not of its place in the job', async () => {
  const request: JobRequest = { input: folder, output: folder };
  const shard = await shardOf('named.jsonl', 3);
  const name = partNameOf(request, shard, MODEL);
  expect(partNameOf(request, { ...shard, index: 7 }, MODEL)).toBe(name);
  const others = [
    partNameOf({ ...request, text: 'mail' }, shard, MODEL),
    partNameOf(request, { ...shard, file: { ...shard.file, version: 'newer' } }, MODEL),
    partNameOf(request, { ...shard, range: { ...shard.range, end: 9 } }, MODEL),
    partNameOf(request, shard, { ...MODEL, commit: 'newer' }),
    partNameOf(request, shard, { ...MODEL, dtype: 'q8' }),
  ];
  expect(new Set([name, ...others]).size).toBe(6);
});
