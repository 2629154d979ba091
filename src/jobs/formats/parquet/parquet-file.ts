import type { AsyncBuffer, FileMetaData, SchemaElement } from 'hyparquet';
import { InputError } from '../../files/input-error.js';
import type { FileRef } from '../../files/place.js';
import type { FileReader } from '../reading/pieces.js';

/** The library takes ranges of a file as whole buffers: a column of a row group, or its pages. */
const MAX_RANGE_BYTES = 256 * 1024 * 1024;
const MAX_FOOTER_BYTES = 32 * 1024 * 1024;
const FOOTER_GUESS_BYTES = 64 * 1024;
const MAGIC_BYTES = 12;

/** Ranges of a Parquet file, as the library asks for them. It keeps why one could not be read. */
export class ParquetFile implements AsyncBuffer {
  readonly byteLength: number;
  /** Why reading the file failed; the library’s own errors say that what was read is broken. */
  failure: unknown;
  readonly #reader: FileReader;
  readonly #file: FileRef;
  readonly #signal: AbortSignal;

  constructor(reader: FileReader, file: FileRef, signal: AbortSignal) {
    this.byteLength = file.bytes;
    this.#reader = reader;
    this.#file = file;
    this.#signal = signal;
  }

  async slice(start: number, end = this.byteLength): Promise<ArrayBuffer> {
    try {
      if (end - start > MAX_RANGE_BYTES) {
        throw new InputError(
          `${this.#file.url}: a column of one row group has more than ${MAX_RANGE_BYTES / 1024 / 1024} MB: write the file again with smaller row groups`,
        );
      }
      const buffer = new ArrayBuffer(end - start);
      const bytes = new Uint8Array(buffer);
      let at = 0;
      if (end <= start) return buffer;
      for await (const chunk of this.#reader.read(this.#file, { start, end }, this.#signal)) {
        bytes.set(chunk, at);
        at += chunk.byteLength;
      }
      return buffer;
    } catch (error) {
      this.failure ??= error;
      throw error;
    }
  }
}

/** @throws InputError if the file is no Parquet */
export async function readMetadata(buffer: ParquetFile, file: FileRef): Promise<FileMetaData> {
  if (file.bytes < MAGIC_BYTES) throw new InputError(`${file.url} is too short to be Parquet`);
  const end = Buffer.from(await buffer.slice(file.bytes - 8));
  const magic = end.toString('latin1', 4);
  if (magic === 'PARE')
    throw new InputError(`${file.url} is encrypted Parquet, which cannot be read`);
  if (magic !== 'PAR1') {
    throw new InputError(
      `${file.url} is no Parquet, or its end is missing: it was not written to its end, or not copied whole`,
    );
  }
  if (end.readUInt32LE(0) > MAX_FOOTER_BYTES) {
    throw new InputError(
      `${file.url}: its list of row groups has more than ${MAX_FOOTER_BYTES / 1024 / 1024} MB`,
    );
  }
  const { parquetMetadataAsync } = await import('hyparquet');
  return parquetMetadataAsync(buffer, {
    initialFetchSize: Math.min(FOOTER_GUESS_BYTES, file.bytes),
    geoparquet: false,
  });
}

/** The columns of the top level, each with its element. */
export function topColumns({ schema }: FileMetaData): readonly SchemaElement[] {
  const columns: SchemaElement[] = [];
  let at = 1;
  const passChildren = (count: number): void => {
    for (let child = 0; child < count; child += 1) {
      const element = schema[at];
      at += 1;
      passChildren(element?.num_children ?? 0);
    }
  };
  while (at < schema.length) {
    const element = schema[at];
    if (element === undefined) break;
    columns.push(element);
    at += 1;
    passChildren(element.num_children ?? 0);
  }
  return columns;
}
