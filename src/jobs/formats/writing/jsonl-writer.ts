import type { Columns, OutputColumn } from '../format.js';

const CHUNK_CHARACTERS = 64 * 1024;

/** Rows as JSONL, each with what it has, in the order of the columns. */
export async function* jsonlOf(
  slices: AsyncIterable<readonly Columns[]>,
  columns: readonly OutputColumn[],
): AsyncGenerator<Uint8Array> {
  let text = '';
  for await (const slice of slices) {
    for (const row of slice) {
      text += `${JSON.stringify(ordered(row, columns))}\n`;
      if (text.length < CHUNK_CHARACTERS) continue;
      yield Buffer.from(text);
      text = '';
    }
  }
  if (text !== '') yield Buffer.from(text);
}

/** The named columns first: the same row gives the same bytes, whoever put it together. */
function ordered(row: Columns, columns: readonly OutputColumn[]): Columns {
  if (columns.length === 0) return row;
  const done: Record<string, unknown> = {};
  for (const { name } of columns) if (row[name] !== undefined) done[name] = row[name];
  return done;
}
