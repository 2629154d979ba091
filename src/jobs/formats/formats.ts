import type { FileFormat } from '../../contract/jobs.js';
import { InputError } from '../files/input-error.js';
import type { Encode, InputFormat } from './format.js';
import { JsonlFormat } from './reading/jsonl.js';
import type { FileReader } from './reading/pieces.js';
import { jsonlOf } from './writing/jsonl-writer.js';

export { extensionOf, formatOf } from '../files/names.js';

/** Reads the formats of input files. It holds some files open between two shards: close it. */
export class Formats {
  readonly #jsonl: JsonlFormat;

  constructor(reader: FileReader) {
    this.#jsonl = new JsonlFormat(reader);
  }

  input(format: FileFormat): InputFormat {
    if (format === 'jsonl') return this.#jsonl;
    throw new InputError(`${format} cannot be read yet`);
  }

  async close(): Promise<void> {}
}

/** Rows as the bytes of a part. */
export const encode: Encode = (slices, options) => jsonlOf(slices, options.columns);
