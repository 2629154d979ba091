/** What a text file is made of, by its first bytes: JSONL, or CSV with its header. Pure. */

import type { FileFormat } from '../../../contract/jobs.js';
import { InputError } from '../../files/input-error.js';
import type { FileRef } from '../../files/place.js';
import type { InputOptions, RowContent } from '../format.js';
import { csvHead, csvRow } from './csv-fields.js';
import { CsvSplitter } from './csv-splitter.js';
import { jsonRow } from './json-row.js';
import { LineSplitter } from './line-splitter.js';
import type { Skimmer, Splitter } from './records.js';

/** A header is within that. */
export const MAX_HEAD_BYTES = 1024 * 1024;

export interface Dialect {
  /** Byte of the first row. */
  readonly rowsStart: number;
  /** Whether a row’s first byte can be found from anywhere within the file; else only from the start of another row. */
  readonly findsRows: boolean;
  splitter(start: number): Splitter;
  /** Finds all rows from the start of one; where `findsRows` is true there is no need of it. */
  readonly skimmer?: (start: number) => Skimmer;
  row(content: Buffer): RowContent;
}

/**
 * @param beginning of the file, unpacked
 * @param isWhole whether that is all of it
 * @returns undefined if more is needed to tell
 * @throws InputError if no row of the file could be read
 */
export function dialectOf(
  file: FileRef,
  beginning: Buffer,
  isWhole: boolean,
  options: InputOptions,
): Dialect | undefined {
  assertPlainText(file, beginning, options);
  return DIALECTS[options.format](file, beginning, isWhole, options);
}

const DIALECTS: Readonly<Record<FileFormat, typeof dialectOf>> = {
  jsonl: jsonlDialect,
  csv: csvDialect,
  parquet: () => {
    throw new Error('Parquet is no text');
  },
};

function jsonlDialect(
  file: FileRef,
  beginning: Buffer,
  _isWhole: boolean,
  options: InputOptions,
): Dialect {
  assertJsonl(file, beginning);
  return {
    rowsStart: 0,
    findsRows: true,
    splitter: (start) => new LineSplitter(start),
    row: (content) => picked(jsonRow(content, options.texts), options.columns),
  };
}

function csvDialect(
  file: FileRef,
  beginning: Buffer,
  isWhole: boolean,
  options: InputOptions,
): Dialect | undefined {
  const head = csvHead(beginning, isWhole, options.delimiter);
  if (typeof head === 'string') throw new InputError(`${file.url}: ${head}`);
  if (head === undefined) {
    if (beginning.length < MAX_HEAD_BYTES) return undefined;
    throw new InputError(
      `${file.url}: its header is longer than ${MAX_HEAD_BYTES / 1024 / 1024} MB`,
    );
  }
  if (head.columns.length > 0) assertColumns(file, head.columns, options.columns);
  return {
    rowsStart: head.rowsStart,
    findsRows: false,
    splitter: (start) => new CsvSplitter(head.delimiter, start),
    skimmer: (start) => new CsvSplitter(head.delimiter, start),
    row: (content) => picked(csvRow(content, head), options.columns),
  };
}

/** @throws InputError if a column is missing */
export function assertColumns(
  file: FileRef,
  found: readonly string[],
  wanted: readonly string[] | undefined,
): void {
  const missing = wanted?.find((name) => !found.includes(name));
  if (missing === undefined) return;
  const some = found.slice(0, 50).join(', ') + (found.length > 50 ? ', …' : '');
  throw new InputError(`${file.url} has no column ${JSON.stringify(missing)}; it has ${some}`);
}

/** Files that are called so and are something else, where every row would be a bad one. */
function assertPlainText(file: FileRef, beginning: Buffer, { format, compression }: InputOptions) {
  const starts = (...bytes: readonly number[]) => bytes.every((byte, at) => beginning[at] === byte);
  const refuse = (what: string) => {
    throw new InputError(`${file.url} is called ${format}, and is ${what}`);
  };
  const again = compression === 'none' ? '' : ' once more';
  if (starts(0xff, 0xfe) || starts(0xfe, 0xff))
    refuse('UTF-16: convert it (iconv -f UTF-16 -t UTF-8)');
  if (starts(0x1f, 0x8b))
    refuse(`packed with gzip${again}: its name needs .gz, or it is to be unpacked`);
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) {
    refuse(`packed with zstd${again}: its name needs .zst, or it is to be unpacked`);
  }
  if (beginning.subarray(0, 4).toString('latin1') === 'PAR1') refuse('Parquet');
  if (starts(0x50, 0x4b, 0x03, 0x04))
    refuse('a ZIP archive or a spreadsheet: export it as CSV in UTF-8');
}

function assertJsonl(file: FileRef, beginning: Buffer): void {
  const text = beginning
    .subarray(0, 4096)
    .toString('latin1')
    .replace(/^\xef\xbb\xbf/, '')
    .trimStart();
  if (/^\[\s*(\{|\][\s]*$)/.test(text)) {
    throw new InputError(
      `${file.url} is one JSON list, not one object a line: convert it (jq -c '.[]')`,
    );
  }
  if (/^\{[ \t\r]*\n\s*"/.test(text)) {
    throw new InputError(
      `${file.url} has objects over several lines, not one a line: convert it (jq -c .)`,
    );
  }
}

function picked(row: RowContent, columns: readonly string[] | undefined): RowContent {
  if (columns === undefined || !('columns' in row)) return row;
  const own = row.columns;
  const some = columns.filter((name) => Object.hasOwn(own, name)).map((name) => [name, own[name]]);
  return { ...row, columns: Object.fromEntries(some) };
}
