import type { Columns, OutputColumn } from '../format.js';

const CHUNK_CHARACTERS = 64 * 1024;

/** Rows as JSONL, each with what it has, in the order of the columns. */
export async function* jsonlOf(
  slices: AsyncIterable<readonly Columns[]>,
  columns: readonly OutputColumn[],
): AsyncGenerator<Uint8Array> {
  const lineOf = columns.length === 0 ? JSON.stringify : lineOfColumns(columns);
  let text = '';
  for await (const slice of slices) {
    for (const row of slice) {
      text += `${lineOf(row)}\n`;
      if (text.length < CHUNK_CHARACTERS) continue;
      yield Buffer.from(text);
      text = '';
    }
  }
  if (text !== '') yield Buffer.from(text);
}

/** The named columns, in their order: the same row gives the same bytes, whoever put it together. */
function lineOfColumns(columns: readonly OutputColumn[]): (row: Columns) => string {
  const keys = columns.map(({ name }) => ({ name, key: JSON.stringify(name) }));
  return (row) => {
    let line = '';
    for (const { name, key } of keys) {
      const value = Object.hasOwn(row, name) ? JSON.stringify(row[name]) : undefined;
      if (value !== undefined) line += `${line === '' ? '{' : ','}${key}:${value}`;
    }
    return line === '' ? '{}' : `${line}}`;
  };
}
