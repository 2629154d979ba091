/** Reads the header of a safetensors file, and takes no more memory than the header really has. */
import { open, stat } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, PlimsollError, systemCodeOf } from '../../../errors.js';
import { parseHeader } from './header.js';

/** A tensor and where its values lie. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** The file's full path. */
  readonly file: string;
  /** First byte of its values in the file; they are little-endian, row-major. */
  readonly offset: number;
  readonly bytes: number;
}

/** The header's length: an unsigned 64-bit integer, little-endian. */
const LENGTH_BYTES = 8;
/**
 * The format allows 100 MB. A header has some 100 bytes for each tensor, so that this is room for
 * 100,000 tensors: a hundred times what the largest encoders have.
 */
const MAX_HEADER_BYTES = 16 * 1024 * 1024;

/**
 * The tensors of one file.
 *
 * @throws PlimsollError MODEL_UNUSABLE with the file's name and what is wrong with it.
 */
export async function readTensors(file: string): Promise<readonly StoredTensor[]> {
  try {
    return await read(file);
  } catch (error) {
    const reason = systemCodeOf(error) === 'ENOENT' ? 'it is missing' : messageOf(error);
    throw new PlimsollError('MODEL_UNUSABLE', `${path.basename(file)} cannot be used: ${reason}`);
  }
}

async function read(file: string): Promise<readonly StoredTensor[]> {
  // Before it is opened: that would wait for ever at a pipe without a writer.
  if (!(await stat(file)).isFile()) throw new Error('it is no regular file');
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    if (size < LENGTH_BYTES) throw new Error(`it is cut off: it has ${size} bytes`);
    const exactly = async (length: number, position: number): Promise<Buffer> => {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, position);
      if (bytesRead < length) throw new Error('it became shorter while it was read');
      return buffer;
    };
    const length = (await exactly(LENGTH_BYTES, 0)).readBigUInt64LE();
    if (length > BigInt(size - LENGTH_BYTES)) {
      throw new Error(`its header is said to be ${length} bytes long, the file has ${size}`);
    }
    if (length > BigInt(MAX_HEADER_BYTES)) {
      throw new Error(`its header is ${length} bytes long; up to ${MAX_HEADER_BYTES} are read`);
    }
    const start = LENGTH_BYTES + Number(length);
    const header = utf8(await exactly(Number(length), LENGTH_BYTES));
    return parseHeader(header, size - start).map(({ name, dtype, shape, begin, end }) => ({
      ...{ name, dtype, shape, file },
      ...{ offset: start + begin, bytes: end - begin },
    }));
  } finally {
    await handle.close();
  }
}

function utf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Error('its header is not UTF-8');
  }
}
