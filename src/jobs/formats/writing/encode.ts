import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import zlib from 'node:zlib';
import type { Compression, FileFormat } from '../../../contract/jobs.js';
import type { Encode } from '../format.js';
import { assertCanWrite } from './can-write.js';
import { csvOf } from './csv-writer.js';
import { jsonlOf } from './jsonl-writer.js';
import { parquetOf } from './parquet-writer.js';

/** Node.js has it from 22.15 on. */
const { createZstdCompress } = zlib as { readonly createZstdCompress?: () => Transform };

/**
 * Rows as the bytes of a part. The same rows give the same bytes on the same version of Node.js: the header of gzip has no time.
 * Other versions may pack the same rows into other bytes, which unpack to the same.
 */
export const encode: Encode = (slices, options) => {
  assertCanWrite(options.compression);
  return WRITERS[options.format](slices, options);
};

const WRITERS: Readonly<Record<FileFormat, Encode>> = {
  jsonl: (slices, { columns, compression }) => packed(jsonlOf(slices, columns), compression),
  csv: (slices, { columns, compression }) => packed(csvOf(slices, columns), compression),
  // It packs each of its pages.
  parquet: (slices, { columns, compression }) => parquetOf(slices, columns, compression),
};

const PACKERS: Readonly<Record<Compression, () => Transform | undefined>> = {
  none: () => undefined,
  gzip: () => zlib.createGzip(),
  zstd: () => createZstdCompress?.(),
};

async function* packed(chunks: AsyncIterable<Uint8Array>, compression: Compression) {
  const packer = PACKERS[compression]();
  if (packer === undefined) return yield* chunks;
  const source = Readable.from(chunks, { objectMode: true, highWaterMark: 1 });
  const done = pipeline(source, packer);
  // Its error is met again while reading.
  done.catch(() => undefined);
  try {
    yield* packer as AsyncIterable<Uint8Array>;
  } finally {
    packer.destroy();
    source.destroy();
  }
}
