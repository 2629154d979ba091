import type { FileFormat } from '../../contract/jobs.js';
import type { InputFormat } from './format.js';
import { ParquetFormat } from './parquet/parquet-format.js';
import { OpenFiles } from './reading/open-files.js';
import type { FileReader } from './reading/pieces.js';
import { TextFormat } from './reading/text-format.js';

export { extensionOf, formatOf } from '../files/names.js';
export { assertCanWrite, encode } from './writing/encode.js';

/** Reads the formats of input files. It holds some packed files open between two shards: close it. */
export class Formats {
  readonly #open = new OpenFiles();
  readonly #text: TextFormat;
  readonly #parquet: ParquetFormat;

  constructor(reader: FileReader) {
    this.#text = new TextFormat(reader, this.#open);
    this.#parquet = new ParquetFormat(reader);
  }

  input(format: FileFormat): InputFormat {
    return format === 'parquet' ? this.#parquet : this.#text;
  }

  close(): Promise<void> {
    return this.#open.close();
  }
}
