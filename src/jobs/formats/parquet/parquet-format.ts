import { InputError } from '../../files/input-error.js';
import type { FileRef } from '../../files/place.js';
import type { InputFormat, InputOptions, InputRow, ShardRange } from '../format.js';
import { assertColumns } from '../reading/dialect.js';
import type { FileReader } from '../reading/pieces.js';
import { slicesOf } from '../reading/slices.js';
import type { AskedFile, LookedAt, ParquetAnswer, ParquetQuestion } from './parquet-messages.js';
import { parquetShards } from './parquet-shards.js';
import type { ParquetThread } from './parquet-thread.js';

/** Rows are decoded in steps of about so much: as much is held of each shard that runs. */
const STEP_BYTES = 1024 * 1024;
/** The library takes ranges of a file as whole buffers: pages, or a column with lists whose pages the file does not list. */
const MAX_RANGE_BYTES = 128 * 1024 * 1024;

/**
 * Parquet. What is held at once: the pages of some thousand rows, and their values. Of columns with lists, the whole column of a row
 * group, unless the file has an index of its pages.
 */
export class ParquetFormat implements InputFormat {
  readonly #reader: FileReader;
  readonly #thread: ParquetThread;

  constructor(reader: FileReader, thread: ParquetThread) {
    this.#reader = reader;
    this.#thread = thread;
  }

  async *plan(file: FileRef, options: InputOptions, shardRows: number, signal: AbortSignal) {
    const { groupRows } = await this.#look(file, options, signal);
    yield* parquetShards(groupRows, shardRows);
  }

  async columnTypes(file: FileRef, options: InputOptions, signal: AbortSignal) {
    const { columns } = await this.#look(file, options, signal);
    return new Map(columns.map(({ name, type }) => [name, type]));
  }

  read(
    file: FileRef,
    range: ShardRange,
    options: InputOptions,
    signal: AbortSignal,
  ): AsyncIterable<readonly InputRow[]> {
    return slicesOf(this.#rows(file, range, options, signal));
  }

  async *#rows(file: FileRef, range: ShardRange, options: InputOptions, signal: AbortSignal) {
    const looked = await this.#look(file, options, signal);
    const total = looked.groupRows.reduce((sum, rows) => sum + rows, 0);
    const end = Math.min(range.end ?? total, total);
    const columns = options.columns ?? looked.columns.map(({ name }) => name);
    const rowBytes = bytesOfRow(looked, columns, total);
    const step = Math.max(1, Math.floor(STEP_BYTES / rowBytes));
    let at = 0;
    for (let from = range.start; from < end; from += step) {
      const to = Math.min(from + step, end);
      const answer = await this.#ask(
        { type: 'read', file: asked(file), from, to, columns },
        file,
        signal,
      );
      if (answer.type !== 'rows') return;
      yield answer.rows.map((row) => {
        const told: InputRow = typeof row === 'string' ? { at, bad: row } : { at, columns: row };
        at += 1;
        return { row: told, bytes: rowBytes };
      });
    }
  }

  async #look(file: FileRef, options: InputOptions, signal: AbortSignal): Promise<LookedAt> {
    if (file.ranged === false) {
      throw new InputError(
        `${file.url}: its server sends no ranges, which Parquet needs: fetch it first, or use another server`,
      );
    }
    const answer = await this.#ask({ type: 'look', file: asked(file) }, file, signal);
    if (answer.type !== 'looked')
      throw new Error('the thread for Parquet answered another question');
    const names = answer.looked.columns.map(({ name }) => name);
    assertColumns(file, names, options.columns);
    return answer.looked;
  }

  async #ask(
    question: ParquetQuestion,
    file: FileRef,
    signal: AbortSignal,
  ): Promise<ParquetAnswer> {
    signal.throwIfAborted();
    let failure: unknown;
    try {
      return await this.#thread.ask(question, async (start, end) => {
        try {
          return await this.#slice(file, { start, end }, signal);
        } catch (error) {
          failure = error;
          throw error;
        }
      });
    } catch (error) {
      if (error === failure || !(error instanceof InputError)) throw error;
      throw new InputError(`${file.url}: ${error.message}`, error);
    }
  }

  async #slice(
    file: FileRef,
    range: { readonly start: number; readonly end: number },
    signal: AbortSignal,
  ): Promise<ArrayBuffer> {
    const { start, end } = range;
    if (!(start >= 0 && start <= end && end <= file.bytes)) {
      throw new InputError(`${file.url}: its Parquet is broken: it points beyond its end`);
    }
    if (end - start > MAX_RANGE_BYTES) {
      throw new InputError(
        `${file.url}: a page, or a column with lists of one row group, has more than ${MAX_RANGE_BYTES / 1024 / 1024} MB: write the file again with smaller row groups, or with an index of its pages`,
      );
    }
    const buffer = new ArrayBuffer(end - start);
    const bytes = new Uint8Array(buffer);
    let at = 0;
    if (end === start) return buffer;
    for await (const chunk of this.#reader.read(file, { ...range, mayReuse: true }, signal)) {
      bytes.set(chunk, at);
      at += chunk.byteLength;
    }
    return buffer;
  }
}

function asked({ url, version, bytes }: FileRef): AskedFile {
  return { key: `${url} ${version}`, bytes };
}

/** About how many bytes a row’s needed columns are. */
function bytesOfRow({ columns }: LookedAt, names: readonly string[], rows: number): number {
  const needed = columns.filter(({ name }) => names.includes(name));
  const bytes = needed.reduce((sum, column) => sum + column.bytes, 0);
  return Math.max(1, Math.ceil(bytes / Math.max(1, rows)) || 1);
}
