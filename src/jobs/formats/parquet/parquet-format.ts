import { LRUCache } from 'lru-cache';
import { InputError } from '../../files/input-error.js';
import type { FileRef } from '../../files/place.js';
import type { InputFormat, InputOptions, InputRow, ShardRange } from '../format.js';
import { assertColumns } from '../reading/dialect.js';
import type { FileReader } from '../reading/pieces.js';
import { slicesOf } from '../reading/slices.js';
import type { AskedFile, LookedAt, ParquetAnswer, ParquetQuestion } from './parquet-messages.js';
import { parquetShards } from './parquet-shards.js';
import type { ParquetThread } from './parquet-thread.js';
import { STEP_BYTES, StepRows } from './step-rows.js';

/** A step is guessed by the one before it: what it decodes to is cut off there. */
const MAX_STEP_BYTES = 2 * STEP_BYTES;
/** Files of which is known what their rows decode to. */
const MAX_KNOWN = 64;
/** The library takes ranges of a file as whole buffers: pages, or a column with lists whose pages the file does not list. */
const MAX_RANGE_BYTES = 128 * 1024 * 1024;

/**
 * Parquet. What is held at once: the pages of some thousand rows, and their values. Of columns with lists, the whole column of a row
 * group, unless the file has an index of its pages.
 */
export class ParquetFormat implements InputFormat {
  readonly #reader: FileReader;
  readonly #thread: Pick<ParquetThread, 'ask'>;
  /** By file and columns: what a row decodes to, so that each shard after the first begins with a whole step. */
  readonly #rowBytes = new LRUCache<string, number>({ max: MAX_KNOWN });

  constructor(reader: FileReader, thread: Pick<ParquetThread, 'ask'>) {
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
    const key = JSON.stringify([file.url, file.version, columns]);
    const steps = new StepRows(bytesOfRow(looked, columns, total), this.#rowBytes.get(key));
    const texts = options.texts ?? [];
    for (let from = range.start; from < end; ) {
      const to = Math.min(from + steps.rows, end);
      const question = { from, to, columns, texts, maxBytes: MAX_STEP_BYTES };
      const answer = await this.#ask(
        { type: 'read', file: asked(file), ...question },
        file,
        signal,
      );
      if (answer.type !== 'rows' || answer.rows.length === 0) return;
      steps.made(answer.rows.length, answer.bytes);
      this.#rowBytes.set(key, steps.rowBytes);
      const first = from - range.start;
      from += answer.rows.length;
      const bytes = answer.bytes / answer.rows.length;
      yield answer.rows.map((row, index) => ({ row: { at: first + index, ...row }, bytes }));
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
