/** The data file beside a graph that is being written: values are appended, and their places remembered. */
import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import type { FileRange } from '../onnx/messages.js';

/** A cache line: what vector instructions read best. */
const ALIGNMENT_BYTES = 64;

export class DataFile {
  readonly #handle: FileHandle;
  readonly #name: string;
  #bytes = 0;

  private constructor(handle: FileHandle, name: string) {
    this.#handle = handle;
    this.#name = name;
  }

  static async create(folder: string, name: string): Promise<DataFile> {
    return new DataFile(await open(path.join(folder, name), 'w'), name);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Writes values behind the others. */
  async append(values: Int8Array | Uint8Array | Float32Array): Promise<FileRange> {
    const { buffer, byteOffset, byteLength } = values;
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    return this.appendParts([bytes]);
  }

  async appendParts(parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<FileRange> {
    const padding = (ALIGNMENT_BYTES - (this.#bytes % ALIGNMENT_BYTES)) % ALIGNMENT_BYTES;
    if (padding > 0) await this.#handle.writeFile(Buffer.alloc(padding));
    const offset = this.#bytes + padding;
    let length = 0;
    for await (const part of parts) {
      await this.#handle.writeFile(part);
      length += part.byteLength;
    }
    this.#bytes = offset + length;
    return { file: this.#name, offset, length };
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}
