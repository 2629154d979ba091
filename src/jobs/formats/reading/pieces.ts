import type { FileRef, Reader } from '../../files/place.js';

/** What a format needs of places. */
export type FileReader = Pick<Reader, 'read'>;

/** Most rows end this close behind the end of their shard. */
const FIRST_PIECE_BYTES = 64 * 1024;
const MAX_PIECE_BYTES = 4 * 1024 * 1024;

export interface ReadOn {
  readonly start: number;
  /** Where the caller probably stops. */
  readonly end: number;
  /** Nothing behind it is read. */
  readonly limit?: number;
}

/**
 * A file from `start` on, for a caller that stops by itself somewhere behind `end`: over a network, little is asked for that nobody
 * reads, and no transfer is broken off.
 */
export async function* readOn(
  reader: FileReader,
  file: FileRef,
  { start, end, limit }: ReadOn,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let from = start;
  let to = end + FIRST_PIECE_BYTES;
  let pieceBytes = FIRST_PIECE_BYTES;
  const last = Math.min(limit ?? file.bytes, file.bytes);
  while (from < last) {
    yield* reader.read(file, { start: from, end: Math.min(to, last) }, signal);
    from = to;
    pieceBytes = Math.min(pieceBytes * 2, MAX_PIECE_BYTES);
    to += pieceBytes;
  }
}
