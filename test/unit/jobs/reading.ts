/** Reads files as jobs do, from a folder that is removed afterwards. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll } from 'vitest';
import type { Compression } from '../../../src/contract/jobs.js';
import type { FileRef } from '../../../src/jobs/files/place.js';
import { Places } from '../../../src/jobs/files/places.js';
import type { InputOptions, InputRow, ShardRange } from '../../../src/jobs/formats/format.js';
import { Formats } from '../../../src/jobs/formats/formats.js';

export const { signal } = new AbortController();

export const localPlaces = (folders: readonly string[] | 'any' = 'any') =>
  new Places({
    s3: { endpoint: undefined, region: 'us-east-1' },
    folders,
    privateAddresses: false,
  });

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'plimsoll-jobs-'));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const each of source) found.push(each);
  return found;
}

export const one = async (places: Places, file: string): Promise<FileRef> => {
  const [found] = await all(places.list([file], signal));
  if (found === undefined) throw new Error(`${file} is not there`);
  return found;
};

/** Files of one test file, each in turn under a name of its own. */
export class Bench {
  readonly places = localPlaces();
  readonly formats: Formats;
  readonly folder: string;
  #count = 0;

  constructor(folder: string, parquetThread?: URL) {
    this.folder = folder;
    this.formats = new Formats(this.places, parquetThread);
    afterAll(() => this.formats.close());
  }

  async file(content: string | Uint8Array, compression: Compression = 'none'): Promise<FileRef> {
    this.#count += 1;
    const file = path.join(this.folder, `file-${this.#count}`);
    await writeFile(file, pack(Buffer.from(content), compression));
    const found = await one(this.places, file);
    return found;
  }

  plan(file: FileRef, options: InputOptions, shardRows: number): Promise<ShardRange[]> {
    return all(this.formats.input(options.format).plan(file, options, shardRows, signal));
  }

  async rows(
    file: FileRef,
    options: InputOptions,
    ranges: readonly ShardRange[] = [{ unit: 'bytes', start: 0 }],
  ): Promise<readonly (readonly InputRow[])[]> {
    const shards: InputRow[][] = [];
    for (const range of ranges) {
      const slices = await all(
        this.formats.input(options.format).read(file, range, options, signal),
      );
      shards.push(slices.flat());
    }
    return shards;
  }
}

export const valuesOf = (shards: readonly (readonly InputRow[])[]) =>
  shards.flat().map((row) => ('bad' in row ? row.bad : row.columns));

export function pack(content: Buffer, compression: Compression): Buffer {
  if (compression === 'none') return content;
  if (compression === 'gzip') {
    // Two members, as `cat a.gz b.gz` makes them.
    const middle = Math.floor(content.length / 2);
    return Buffer.concat([
      gzipSync(content.subarray(0, middle)),
      gzipSync(content.subarray(middle)),
    ]);
  }
  return zstdOf(content);
}

/** A valid zstd file of several frames, whose blocks are stored as they are. */
function zstdOf(content: Buffer, frameBytes = 1000, blockBytes = 300): Buffer {
  const parts: Buffer[] = [];
  for (let from = 0; from < content.length || from === 0; from += frameBytes) {
    const frame = content.subarray(from, from + frameBytes);
    // Window of 1 MB, no size, no checksum.
    parts.push(Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50]));
    for (let at = 0; at < frame.length || at === 0; at += blockBytes) {
      const block = frame.subarray(at, at + blockBytes);
      const isLast = at + blockBytes >= frame.length;
      const head = Buffer.alloc(3);
      head.writeUIntLE((block.length << 3) | Number(isLast), 0, 3);
      parts.push(head, block);
    }
    // A frame that decoders pass over.
    parts.push(Buffer.from([0x51, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]));
  }
  return Buffer.concat(parts);
}
