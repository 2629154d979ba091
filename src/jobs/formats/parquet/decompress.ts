import zlib from 'node:zlib';
import type { Compressors } from 'hyparquet';

/** A page is about a megabyte; a broken or malicious one may say anything. */
const MAX_PAGE_BYTES = 128 * 1024 * 1024;
/** Node.js has it from 22.15 on. */
const { zstdDecompressSync } = zlib as {
  readonly zstdDecompressSync?: (bytes: Uint8Array, options: object) => Uint8Array;
};

/**
 * What pages of these codecs are unpacked with: Node.js itself where it can, else the library’s, which is loaded only then.
 */
export async function decompressors(codecs: ReadonlySet<string>): Promise<Compressors> {
  const own = native();
  const isOwn = (codec: string) => codec === 'UNCOMPRESSED' || codec in own;
  const library = [...codecs].every(isOwn) ? {} : await libraryOfAll();
  const checked = Object.entries({ ...library, ...own }).map(([codec, decompress]) => [
    codec,
    (bytes: Uint8Array, length: number) => {
      if (length > MAX_PAGE_BYTES) {
        throw new Error(`a page unpacks to ${length} bytes, more than ${MAX_PAGE_BYTES}`);
      }
      return decompress(bytes, length);
    },
  ]);
  return Object.fromEntries(checked);
}

async function libraryOfAll(): Promise<Compressors> {
  return (await import('hyparquet-compressors')).compressors;
}

function native(): Compressors {
  const upTo = (length: number) => ({ maxOutputLength: Math.max(1, length) });
  return {
    GZIP: (bytes, length) => zlib.gunzipSync(bytes, upTo(length)),
    BROTLI: (bytes, length) => zlib.brotliDecompressSync(bytes, upTo(length)),
    ...(zstdDecompressSync === undefined
      ? {}
      : { ZSTD: (bytes: Uint8Array, length: number) => zstdDecompressSync(bytes, upTo(length)) }),
  };
}
