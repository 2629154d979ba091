/**
 * Fields of CSV, by the same rules as {@link CsvSplitter} cuts it: planning and reading never disagree on where a record ends,
 * which two parsers would. Pure.
 */
import { isUtf8 } from 'node:buffer';
import type { RowContent } from '../format.js';
import { CsvSplitter } from './csv-splitter.js';
import { type TextRecord, withoutMark } from './records.js';

const DELIMITERS = [',', ';', '\t', '|'];

/** @returns the fields of one record, or why there are none */
export function fieldsOf(record: string, delimiter: string): readonly string[] | string {
  if (!record.includes('"')) return record.split(delimiter);
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    const isQuoted = record[at] === '"';
    const closing = isQuoted ? closingQuote(record, at + 1) : at;
    if (closing < 0) return 'a quote is not closed';
    const after = isQuoted ? closing + 1 : at;
    const found = record.indexOf(delimiter, after);
    const end = found < 0 ? record.length : found;
    if (isQuoted && end > after) return 'there is text behind a closing quote';
    fields.push(
      isQuoted ? record.slice(at + 1, closing).replaceAll('""', '"') : record.slice(at, end),
    );
    if (found < 0) return fields;
    at = found + delimiter.length;
  }
}

function closingQuote(record: string, from: number): number {
  let at = record.indexOf('"', from);
  while (at >= 0 && record[at + 1] === '"') at = record.indexOf('"', at + 2);
  return at;
}

/** How a CSV file begins. */
export interface CsvHead {
  readonly delimiter: string;
  /** Empty: the file is whole and has no record, not even a header. */
  readonly columns: readonly string[];
  /** Byte of the first record behind the header. */
  readonly rowsStart: number;
}

/**
 * The header, and the delimiter if it is not given: the one of `,` `;` tab `|` by which most of the first records have as many fields as the header.
 *
 * @param beginning of the file
 * @param isWhole whether that is all of it
 * @returns why it has none, as text; undefined if its end is not in the beginning
 */
export function csvHead(
  beginning: Buffer,
  isWhole: boolean,
  delimiter: string | undefined,
): CsvHead | string | undefined {
  if (delimiter !== undefined && /["\r\n]/.test(delimiter)) {
    return `${JSON.stringify(delimiter)} cannot divide fields`;
  }
  const mark = beginning.length - withoutMark(beginning).length;
  const tried = (delimiter === undefined ? DELIMITERS : [delimiter]).map((each) => {
    const splitter = new CsvSplitter(each, mark);
    const records = [
      ...splitter.push(beginning.subarray(mark)),
      ...(isWhole ? splitter.end() : []),
    ];
    return { delimiter: each, ...readHead(records, each) };
  });
  const best = tried.reduce((a, b) =>
    b.columns.length > 1 && (b.agree > a.agree || a.columns.length < 2) ? b : a,
  );
  if (best.rowsStart === undefined) {
    const nothing = { delimiter: best.delimiter, columns: [], rowsStart: beginning.length };
    return isWhole ? nothing : undefined;
  }
  if (best.problem !== undefined) return best.problem;
  const twice = best.columns.find((name, index) => best.columns.indexOf(name) !== index);
  if (twice !== undefined) return `its header has the column ${JSON.stringify(twice)} twice`;
  return { delimiter: best.delimiter, columns: best.columns, rowsStart: best.rowsStart };
}

interface ReadHead {
  readonly columns: readonly string[];
  /** How many of the other records have as many fields. */
  readonly agree: number;
  readonly rowsStart: number | undefined;
  readonly problem?: string;
}

function readHead([first, ...others]: readonly TextRecord[], delimiter: string): ReadHead {
  const none = { columns: [], agree: 0, rowsStart: first?.end };
  if (first === undefined) return none;
  if (typeof first.content === 'string')
    return { ...none, problem: `its header: ${first.content}` };
  const fields = textFields(first.content, delimiter);
  if (typeof fields === 'string') return { ...none, problem: `its header: ${fields}` };
  if (fields.some((name) => name.includes('\r'))) {
    return { ...none, problem: 'its lines end with CR alone: convert it (tr "\\r" "\\n")' };
  }
  // Programs that write an index leave its name out.
  const columns = fields.map((name, index) => (name === '' ? `column_${index + 1}` : name));
  const counts = others.map(({ content }) => {
    const each = typeof content === 'string' ? content : textFields(content, delimiter);
    return typeof each === 'string' ? 0 : each.length;
  });
  return {
    columns,
    rowsStart: first.end,
    agree: counts.filter((count) => count === fields.length).length,
  };
}

function textFields(content: Buffer, delimiter: string): readonly string[] | string {
  if (!isUtf8(content)) return 'it is not UTF-8 (convert it: iconv -f WINDOWS-1252 -t UTF-8)';
  return fieldsOf(content.toString('utf8'), delimiter);
}

/** The columns of a record are all texts. */
export function csvRow(content: Buffer, { columns, delimiter }: CsvHead): RowContent {
  const fields = textFields(content, delimiter);
  if (typeof fields === 'string') return { bad: fields };
  if (fields.length !== columns.length) {
    return { bad: `the row has ${fields.length} fields, the header ${columns.length}` };
  }
  const named = columns.map((name, index) => [name, fields[index] ?? '']);
  return { columns: Object.fromEntries(named) };
}
