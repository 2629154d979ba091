import type { FileRef } from '../../files/place.js';
import type { InputFormat, InputOptions, InputRow, ShardRange } from '../format.js';
import { jsonRow } from './json-row.js';
import { jsonlShards } from './jsonl-shards.js';
import { LineSplitter } from './line-splitter.js';
import { type FileReader, readOn } from './pieces.js';
import type { TextRecord } from './records.js';
import { type MeasuredRow, slicesOf } from './slices.js';

/** JSONL: one object of columns a line. */
export class JsonlFormat implements InputFormat {
  readonly #reader: FileReader;

  constructor(reader: FileReader) {
    this.#reader = reader;
  }

  plan(file: FileRef, _options: InputOptions, shardRows: number, signal: AbortSignal) {
    return jsonlShards(this.#reader, file, shardRows, signal);
  }

  read(
    file: FileRef,
    range: ShardRange,
    options: InputOptions,
    signal: AbortSignal,
  ): AsyncIterable<readonly InputRow[]> {
    return slicesOf(rowsOf(recordsWithin(this.#reader, file, range, signal), options));
  }
}

/**
 * The lines whose first byte is within the range. It is done when the line that is not whole yet
 *
 * 1. begins behind the range, or
 * 2. began before it and goes on behind it: then no line begins within.
 */
async function* recordsWithin(
  reader: FileReader,
  file: FileRef,
  { start, end = file.bytes }: ShardRange,
  signal: AbortSignal,
): AsyncGenerator<readonly TextRecord[]> {
  // The byte before tells whether a line begins at `start`.
  const from = Math.max(0, start - 1);
  const splitter = new LineSplitter(from);
  let at = from;
  const within = (records: readonly TextRecord[]) =>
    records.filter((record) => start <= record.start && record.start < end);
  for await (const chunk of readOn(reader, file, { start: from, end }, signal)) {
    yield within(splitter.push(chunk));
    at += chunk.byteLength;
    if (splitter.pendingStart >= end) return; // 1
    if (splitter.pendingStart < start && at >= end) return; // 2
  }
  yield within(splitter.end());
}

async function* rowsOf(
  records: AsyncIterable<readonly TextRecord[]>,
  { columns }: InputOptions,
): AsyncGenerator<readonly MeasuredRow[]> {
  let at = 0;
  for await (const some of records) {
    yield some.map(({ start, content }) => {
      const parsed = typeof content === 'string' ? content : jsonRow(content);
      const bytes = content.length;
      const row: InputRow =
        typeof parsed === 'string'
          ? { at, bad: `byte ${start}: ${parsed}` }
          : { at, columns: columns === undefined ? parsed : pick(parsed, columns) };
      at += 1;
      return { row, bytes };
    });
  }
}

function pick(row: Readonly<Record<string, unknown>>, columns: readonly string[]) {
  const picked: Record<string, unknown> = {};
  for (const column of columns) if (Object.hasOwn(row, column)) picked[column] = row[column];
  return picked;
}
