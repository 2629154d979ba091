import type { FileFormat } from '../../contract/jobs.js';
import type { InputFormat } from './format.js';
import { ParquetFormat } from './parquet/parquet-format.js';
import { ParquetThread } from './parquet/parquet-thread.js';
import { OpenFiles } from './reading/open-files.js';
import type { FileReader } from './reading/pieces.js';
import { TextFormat } from './reading/text-format.js';

export { extensionOf, formatOf } from '../files/names.js';
export { encode } from './writing/encode.js';

/** Reads the formats of input files. It holds some packed files and a thread between two shards: close it. */
export class Formats {
  readonly #open = new OpenFiles();
  readonly #thread: ParquetThread;
  readonly #inputs: Readonly<Record<FileFormat, InputFormat>>;

  /** @param parquetThread its module, where it is not beside that of its owner: for tests that run sources */
  constructor(reader: FileReader, parquetThread?: URL, parquetBudgetMs?: number) {
    this.#thread = new ParquetThread(parquetThread, parquetBudgetMs);
    const text = new TextFormat(reader, this.#open);
    this.#inputs = { jsonl: text, csv: text, parquet: new ParquetFormat(reader, this.#thread) };
  }

  input(format: FileFormat): InputFormat {
    return this.#inputs[format];
  }

  async close(): Promise<void> {
    await Promise.all([this.#open.close(), this.#thread.close()]);
  }
}
