/** Writes large files of weights, a part at a time. */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { endianness } from 'node:os';

/** Weights are generated and written this many at a time (4 MiB): the generator's memory. */
const WEIGHTS_PER_WRITE = 1_048_576;

/** `FileHandle.write` may write less than it is given, for instance on a full disk. */
export async function writeFully(file: FileHandle, chunk: Uint8Array): Promise<void> {
  let offset = 0;
  while (offset < chunk.byteLength) {
    const { bytesWritten } = await file.write(chunk, offset, chunk.byteLength - offset);
    offset += bytesWritten;
  }
}

/** Calls `write` with parts of so many weights, which it fills and writes in order. */
export async function inParts(
  count: number,
  write: (part: Float32Array<ArrayBuffer>) => Promise<void>,
): Promise<void> {
  const buffer = new Float32Array(Math.min(count, WEIGHTS_PER_WRITE));
  for (let left = count; left > 0; left -= buffer.length) {
    await write(buffer.subarray(0, Math.min(left, buffer.length)));
  }
}

/**
 * Writes a file to a temporary name beside `path`, then renames it, so that nobody ever opens half of it.
 *
 * @param bytes size that the whole file must have
 */
export async function writeWhole(
  path: string,
  bytes: number,
  write: (file: FileHandle) => Promise<void>,
): Promise<void> {
  if (endianness() !== 'LE') {
    throw new Error('synthetic models can only be written on a little-endian machine');
  }
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = await open(temporary, 'w');
    try {
      await write(file);
      const { size } = await file.stat();
      if (size !== bytes) throw new Error(`wrote ${size} bytes of a file of ${bytes}`);
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
