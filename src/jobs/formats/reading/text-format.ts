import { LRUCache } from 'lru-cache';
import type { FileRef } from '../../files/place.js';
import type { ColumnTypes, InputFormat, InputOptions, InputRow, ShardRange } from '../format.js';
import { type Dialect, dialectOf, MAX_HEAD_BYTES } from './dialect.js';
import { jsonlShards } from './jsonl-shards.js';
import type { OpenFiles } from './open-files.js';
import { begin, PackedRows } from './packed-rows.js';
import { type FileReader, readOn } from './pieces.js';
import type { Skimmer, TextRecord } from './records.js';
import { type MeasuredRow, slicesOf } from './slices.js';

/** Records that are looked at in one go, between two turns of the event loop: some milliseconds for which callers wait. */
const RECORDS_AT_ONCE = 64;
const FIRST_BYTES = 64 * 1024;
const MAX_HEADS = 16;

/**
 * JSONL and CSV. How a file is cut:
 *
 * 1. Packed, or from a server that sends no ranges: by rows, which planning counts in one pass.
 * 2. Plain JSONL: by bytes, without a look at its rows.
 * 3. Plain CSV: by bytes, in one pass that finds where records end, for a line end may be within quotes.
 */
export class TextFormat implements InputFormat {
  readonly #reader: FileReader;
  readonly #open: OpenFiles;
  readonly #heads = new LRUCache<string, Dialect>({ max: MAX_HEADS });

  constructor(reader: FileReader, open: OpenFiles) {
    this.#reader = reader;
    this.#open = open;
  }

  async *plan(file: FileRef, options: InputOptions, shardRows: number, signal: AbortSignal) {
    if (isCounted(file, options)) {
      yield* this.#countedShards(file, options, shardRows, signal); // 1
      return;
    }
    if (file.bytes === 0 && options.format === 'jsonl') return;
    const dialect = await this.#begin(file, options, signal);
    const { rowsStart, skimmer } = dialect;
    if (skimmer === undefined)
      yield* jsonlShards(this.#reader, file, shardRows, signal); // 2
    else yield* this.#scannedShards(file, skimmer(rowsStart), rowsStart, shardRows, signal); // 3
  }

  read(
    file: FileRef,
    range: ShardRange,
    options: InputOptions,
    signal: AbortSignal,
  ): AsyncIterable<readonly InputRow[]> {
    const rows =
      range.unit === 'rows'
        ? this.#countedRows(file, range, options, signal)
        : this.#rowsOfBytes(file, range, options, signal);
    return slicesOf(rows);
  }

  async columnTypes(): Promise<ColumnTypes> {
    return new Map();
  }

  /** Of a plain file. All shards of a CSV file need its header. */
  async #dialect(file: FileRef, options: InputOptions, signal: AbortSignal): Promise<Dialect> {
    const { format, delimiter, columns } = options;
    const known = format === 'jsonl' && dialectOf(file, Buffer.alloc(0), false, options);
    if (known) return known;
    const key = JSON.stringify([file.url, file.version, delimiter, columns]);
    const dialect = this.#heads.get(key) ?? (await this.#begin(file, options, signal));
    this.#heads.set(key, dialect);
    return dialect;
  }

  /** Reads the beginning of a plain file. */
  async #begin(file: FileRef, options: InputOptions, signal: AbortSignal): Promise<Dialect> {
    const limit = Math.min(file.bytes, MAX_HEAD_BYTES + FIRST_BYTES);
    const beginning = readOn(this.#reader, file, { start: 0, end: 0, limit }, signal);
    const { dialect, others } = await begin(beginning, (bytes, isWhole) =>
      dialectOf(file, bytes, isWhole && limit === file.bytes, options),
    );
    await others.return?.();
    return dialect;
  }

  async *#countedShards(
    file: FileRef,
    options: InputOptions,
    shardRows: number,
    signal: AbortSignal,
  ): AsyncGenerator<ShardRange> {
    const rows = new PackedRows(this.#reader, file, options);
    try {
      let start = 0;
      while (await rows.skip(shardRows, signal)) {
        yield { unit: 'rows', start, end: rows.position };
        start = rows.position;
      }
      if (rows.position > start) yield { unit: 'rows', start, end: rows.position };
    } finally {
      await rows.close();
    }
  }

  async *#scannedShards(
    file: FileRef,
    rows: Skimmer,
    rowsStart: number,
    shardRows: number,
    signal: AbortSignal,
  ): AsyncGenerator<ShardRange> {
    let start = rowsStart;
    let count = 0;
    let found: ShardRange[] = [];
    const onEnd = (end: number): void => {
      count += 1;
      if (count < shardRows) return;
      found.push({ unit: 'bytes', start, end });
      start = end;
      count = 0;
    };
    const range = { start, mayReuse: true };
    for await (const chunk of this.#reader.read(file, range, signal)) {
      rows.skim(chunk, onEnd);
      if (found.length === 0) continue;
      yield* found;
      found = [];
    }
    rows.skimEnd(onEnd);
    yield* found;
    if (count > 0) yield { unit: 'bytes', start, end: file.bytes };
  }

  async *#rowsOfBytes(
    file: FileRef,
    range: ShardRange,
    options: InputOptions,
    signal: AbortSignal,
  ): AsyncGenerator<readonly MeasuredRow[]> {
    if (file.bytes === 0) return;
    const dialect = await this.#dialect(file, options, signal);
    const rows = new RowsOf(dialect);
    for await (const records of recordsWithin(this.#reader, file, dialect, range, signal)) {
      yield* rows.of(records);
    }
  }

  /** Goes on with an open reader that is not past the shard; one that failed, or is at its end, is closed. */
  async *#countedRows(
    file: FileRef,
    { start, end = Number.POSITIVE_INFINITY }: ShardRange,
    options: InputOptions,
    signal: AbortSignal,
  ): AsyncGenerator<readonly MeasuredRow[]> {
    const key = JSON.stringify([file.url, file.version, options]);
    const reader = this.#open.take(key, start) ?? new PackedRows(this.#reader, file, options);
    let goesOn = false;
    try {
      await reader.skip(start - reader.position, signal);
      let rows: RowsOf | undefined;
      while (reader.position < end) {
        const some = await reader.next(Math.min(RECORDS_AT_ONCE, end - reader.position), signal);
        if (some === undefined || reader.dialect === undefined) return;
        rows ??= new RowsOf(reader.dialect);
        yield* rows.of(some);
      }
      goesOn = true;
    } finally {
      if (goesOn) await this.#open.give(key, reader);
      else await reader.close();
    }
  }
}

/** Whether its shards are counted in rows. */
function isCounted(file: FileRef, options: InputOptions): boolean {
  return options.compression !== 'none' || file.ranged === false;
}

/** Turns records into rows, and numbers them. */
class RowsOf {
  readonly #dialect: Dialect;
  #at = 0;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  *of(records: readonly TextRecord[]): Generator<readonly MeasuredRow[]> {
    for (let from = 0; from < records.length; from += RECORDS_AT_ONCE) {
      yield records.slice(from, from + RECORDS_AT_ONCE).map((record) => this.#row(record));
    }
  }

  #row({ start, content }: TextRecord): MeasuredRow {
    const at = this.#at;
    this.#at += 1;
    const row = typeof content === 'string' ? { bad: content } : this.#dialect.row(content);
    const told = 'bad' in row ? { ...row, bad: `byte ${start}: ${row.bad}` } : row;
    return { row: { at, ...told }, bytes: content.length };
  }
}

/**
 * The records whose first byte is within the range. It is done when the one that is not whole yet
 *
 * 1. begins behind the range, or
 * 2. began before it and goes on behind it: then none begins within.
 */
async function* recordsWithin(
  reader: FileReader,
  file: FileRef,
  dialect: Dialect,
  range: ShardRange,
  signal: AbortSignal,
): AsyncGenerator<readonly TextRecord[]> {
  const { end = file.bytes } = range;
  const start = Math.max(range.start, dialect.rowsStart);
  // The byte before tells whether a row begins at `start`.
  const from = dialect.findsRows ? Math.max(0, start - 1) : start;
  const splitter = dialect.splitter(from);
  const within = (records: readonly TextRecord[]) =>
    records.filter((record) => start <= record.start && record.start < end);
  let at = from;
  for await (const chunk of readOn(reader, file, { start: from, end }, signal)) {
    yield within(splitter.push(chunk));
    at += chunk.byteLength;
    if (splitter.pendingStart >= end) return; // 1
    if (splitter.pendingStart < start && at >= end) return; // 2
  }
  yield within(splitter.end());
}
