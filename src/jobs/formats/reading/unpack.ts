import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import zlib from 'node:zlib';
import { Decompress } from 'fzstd';
import type { Compression } from '../../../contract/jobs.js';
import { messageOf, systemCodeOf } from '../../../errors.js';
import { InputError } from '../../files/input-error.js';
import { ZstdFormatError, ZstdFrames } from './zstd-frames.js';

const CHUNK_BYTES = 128 * 1024;
/** Node.js has it from 22.15 on. */
const { createZstdDecompress } = zlib as { readonly createZstdDecompress?: () => Transform };

/**
 * Unpacks piece by piece; little is held, however much a few bytes unpack to.
 *
 * @param name of the file, for messages
 * @throws InputError if the data are broken, or end too early
 */
export async function* unpack(
  chunks: AsyncIterable<Uint8Array>,
  compression: Compression,
  name: string,
): AsyncGenerator<Uint8Array> {
  try {
    if (compression === 'none') yield* chunks;
    else if (compression === 'gzip')
      yield* through(chunks, zlib.createGunzip({ chunkSize: CHUNK_BYTES }));
    else if (createZstdDecompress === undefined) yield* unpackZstd(chunks);
    else yield* through(chunks, createZstdDecompress());
  } catch (error) {
    throw isFormatError(error)
      ? new InputError(`${name}: its ${compression} data are broken: ${reasonOf(error)}`, error)
      : error;
  }
}

async function* through(chunks: AsyncIterable<Uint8Array>, unpacker: Transform) {
  const source = Readable.from(chunks, { objectMode: true, highWaterMark: 1 });
  const done = pipeline(source, unpacker);
  // Its error is met again while reading.
  done.catch(() => undefined);
  try {
    yield* unpacker as AsyncIterable<Uint8Array>;
  } finally {
    unpacker.destroy();
    source.destroy();
  }
}

/** One block at a time; see {@link ZstdFrames}. */
async function* unpackZstd(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const frames = new ZstdFrames();
  let unpacked: Uint8Array[] = [];
  const decoder = new Decompress((bytes) => unpacked.push(bytes));
  for await (const chunk of chunks) {
    for (const piece of frames.push(chunk)) {
      decoder.push(piece);
      for (const bytes of unpacked) if (bytes.length > 0) yield bytes;
      unpacked = [];
    }
  }
  if (!frames.isWhole) throw new ZstdFormatError('unexpected end of file');
  decoder.push(new Uint8Array(), true);
  yield* unpacked.filter((bytes) => bytes.length > 0);
}

function isFormatError(error: unknown): boolean {
  if (error instanceof ZstdFormatError) return true;
  const code = systemCodeOf(error) ?? '';
  if (/^(Z_|ZSTD_|ERR_BUFFER)/.test(code)) return true;
  // fzstd numbers its errors.
  return error instanceof Error && 'code' in error && typeof error.code === 'number';
}

function reasonOf(error: unknown): string {
  return systemCodeOf(error) === 'Z_BUF_ERROR' ? 'unexpected end of file' : messageOf(error);
}
