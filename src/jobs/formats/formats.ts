import type { FileFormat } from '../../contract/jobs.js';
import { InputError } from '../files/input-error.js';
import type { InputFormat } from './format.js';
import { OpenFiles } from './reading/open-files.js';
import type { FileReader } from './reading/pieces.js';
import { TextFormat } from './reading/text-format.js';

export { extensionOf, formatOf } from '../files/names.js';
export { encode } from './writing/encode.js';

/** Reads the formats of input files. It holds some packed files open between two shards: close it. */
export class Formats {
  readonly #open = new OpenFiles();
  readonly #text: TextFormat;

  constructor(reader: FileReader) {
    this.#text = new TextFormat(reader, this.#open);
  }

  input(format: FileFormat): InputFormat {
    if (format !== 'parquet') return this.#text;
    throw new InputError(`${format} cannot be read yet`);
  }

  close(): Promise<void> {
    return this.#open.close();
  }
}
