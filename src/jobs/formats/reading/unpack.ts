import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import zlib from 'node:zlib';
import { Decompress } from 'fzstd';
import type { Compression } from '../../../contract/jobs.js';
import { messageOf, systemCodeOf } from '../../../errors.js';
import { InputError } from '../../files/input-error.js';
import { ZstdFormatError, ZstdFrames, type ZstdPiece } from './zstd-frames.js';

const CHUNK_BYTES = 128 * 1024;
/** Node.js has it from 22.15 on. */
const { createZstdDecompress } = zlib as {
  readonly createZstdDecompress?: (options: { readonly chunkSize: number }) => Transform;
};

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
    else yield* unpackZstd(chunks);
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
  const decoder = createZstdDecompress === undefined ? new OwnDecoder() : new NodeDecoder();
  try {
    for await (const chunk of chunks) {
      for (const piece of frames.push(chunk)) {
        if (piece.kind === 'skipped') continue;
        for (const bytes of await decoder.push(piece)) if (bytes.length > 0) yield bytes;
      }
    }
    if (!frames.isWhole) throw new ZstdFormatError('unexpected end of file');
    yield* decoder.end().filter((bytes) => bytes.length > 0);
  } finally {
    decoder.close();
  }
}

interface ZstdDecoder {
  push(piece: ZstdPiece): Promise<readonly Uint8Array[]>;
  end(): readonly Uint8Array[];
  close(): void;
}

/** Where Node.js has none. */
class OwnDecoder implements ZstdDecoder {
  #unpacked: Uint8Array[] = [];
  readonly #decoder = new Decompress((bytes) => this.#unpacked.push(bytes));

  async push({ bytes }: ZstdPiece): Promise<readonly Uint8Array[]> {
    this.#decoder.push(bytes);
    return this.#take();
  }

  end(): readonly Uint8Array[] {
    this.#decoder.push(new Uint8Array(), true);
    return this.#take();
  }

  close(): void {
    this.#unpacked = [];
  }

  #take(): readonly Uint8Array[] {
    const unpacked = this.#unpacked;
    this.#unpacked = [];
    return unpacked;
  }
}

/** That of Node.js reads one frame, and passes over all that follow without a word: each frame gets its own. */
class NodeDecoder implements ZstdDecoder {
  #unpacked: Uint8Array[] = [];
  #frame: Transform | undefined;

  async push({ bytes, kind }: ZstdPiece): Promise<readonly Uint8Array[]> {
    if (kind === 'head') this.#frame = this.#open();
    const frame = this.#frame;
    if (frame === undefined) return [];
    await new Promise<void>((resolve, reject) => {
      frame.once('error', reject);
      const done = (error?: Error | null) => {
        frame.off('error', reject);
        if (error) reject(error);
        else resolve();
      };
      if (kind === 'last') frame.once('end', () => done()).end(bytes);
      else frame.write(bytes, done);
    });
    const unpacked = this.#unpacked;
    this.#unpacked = [];
    return unpacked;
  }

  end(): readonly Uint8Array[] {
    return [];
  }

  close(): void {
    this.#frame?.destroy();
  }

  #open(): Transform | undefined {
    const frame = createZstdDecompress?.({ chunkSize: CHUNK_BYTES });
    // Told by the piece that it is about.
    frame?.on('error', () => undefined);
    return frame?.on('data', (bytes: Uint8Array) => this.#unpacked.push(bytes));
  }
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
