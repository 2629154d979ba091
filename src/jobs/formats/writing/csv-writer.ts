import type { Columns, OutputColumn } from '../format.js';

const CHUNK_CHARACTERS = 64 * 1024;

/**
 * Rows as CSV (RFC 4180, lines end with LF), with a header. Null and what is missing are empty fields. Fields that begin with
 * `=`, `+`, `-` or `@` are written as they are: a spreadsheet may take them for formulas.
 */
export async function* csvOf(
  slices: AsyncIterable<readonly Columns[]>,
  columns: readonly OutputColumn[],
): AsyncGenerator<Uint8Array> {
  let text = csvLine(columns.map(({ name }) => name));
  for await (const slice of slices) {
    for (const row of slice) {
      text += csvLine(columns.map(({ name }) => csvText(row[name])));
      if (text.length < CHUNK_CHARACTERS) continue;
      yield Buffer.from(text);
      text = '';
    }
  }
  if (text !== '') yield Buffer.from(text);
}

function csvLine(fields: readonly string[]): string {
  // A line with nothing would be no row.
  if (fields.length === 1 && fields[0] === '') return '""\n';
  return `${fields.map(quoted).join(',')}\n`;
}

function quoted(field: string): string {
  return /["\n\r,]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}

function csvText(value: unknown): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
