import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import zlib from 'node:zlib';
import type { Compression } from '../../../contract/jobs.js';
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
  const { format, compression, columns } = options;
  if (format === 'parquet') {
    assertCanWrite(compression);
    return parquetOf(slices, columns, compression);
  }
  const text = format === 'csv' ? csvOf(slices, columns) : jsonlOf(slices, columns);
  return packed(text, compression);
};

async function* packed(chunks: AsyncIterable<Uint8Array>, compression: Compression) {
  if (compression === 'none') return yield* chunks;
  assertCanWrite(compression);
  const packer = compression === 'gzip' ? zlib.createGzip() : createZstdCompress?.();
  if (packer === undefined) return;
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
