import zlib from 'node:zlib';
import type { ColumnSource } from 'hyparquet-writer';
import type { Compression } from '../../../contract/jobs.js';
import { InputError } from '../../files/input-error.js';
import type { Columns, OutputColumn } from '../format.js';

const GROUP_CHARACTERS = 8 * 1024 * 1024;
const GROUP_ROWS = 50_000;
/** Of a value that is no text. */
const VALUE_CHARACTERS = 16;
/** Node.js has it from 22.15 on. */
const { zstdCompressSync } = zlib as {
  readonly zstdCompressSync?: (bytes: Uint8Array) => Uint8Array;
};

const CODECS = { none: 'UNCOMPRESSED', gzip: 'GZIP', zstd: 'ZSTD' } as const;
const COMPRESSORS: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array>> = {
  GZIP: (bytes) => zlib.gzipSync(bytes),
  ...(zstdCompressSync === undefined ? {} : { ZSTD: zstdCompressSync }),
};
const TYPES = {
  text: 'STRING',
  json: 'STRING',
  number: 'DOUBLE',
  integer: 'INT64',
  flag: 'BOOLEAN',
} as const;
type ColumnType = OutputColumn['type'];

/**
 * Rows as Parquet; lists and objects are JSON text. It holds one row group: about 8 MB, or 50,000 rows.
 *
 * The schema is a function of the columns alone, never of the rows, so that all parts of a job have the same. In a column of texts,
 * another value is JSON text.
 *
 * @throws InputError if a value is not of the type of its column
 */
export async function* parquetOf(
  slices: AsyncIterable<readonly Columns[]>,
  columns: readonly OutputColumn[],
  compression: Compression,
): AsyncGenerator<Uint8Array> {
  const { ByteWriter, ParquetWriter, schemaFromColumnData } = await import('hyparquet-writer');
  const sink = new ByteWriter();
  const take = (): Uint8Array => {
    const bytes = sink.getBytes().slice();
    sink.index = 0;
    return bytes;
  };
  const writer = new ParquetWriter({
    writer: sink,
    schema: schemaFromColumnData({ columnData: sourcesOf([], columns) }),
    codec: CODECS[compression],
    compressors: COMPRESSORS,
    createdBy: 'plimsoll',
  });
  for await (const rows of groupsOf(slices)) {
    await writer.write({ columnData: sourcesOf(rows, columns), rowGroupSize: rows.length });
    yield take();
  }
  await writer.finish();
  yield take();
}

async function* groupsOf(
  slices: AsyncIterable<readonly Columns[]>,
): AsyncGenerator<readonly Columns[]> {
  let group: Columns[] = [];
  let characters = 0;
  for await (const slice of slices) {
    for (const row of slice) {
      group.push(row);
      for (const value of Object.values(row)) {
        characters += typeof value === 'string' ? value.length : VALUE_CHARACTERS;
      }
      if (characters < GROUP_CHARACTERS && group.length < GROUP_ROWS) continue;
      yield group;
      group = [];
      characters = 0;
    }
  }
  if (group.length > 0) yield group;
}

function fits(value: unknown, type: ColumnType): boolean {
  if (value === undefined || value === null || type === 'text' || type === 'json') return true;
  if (type === 'integer') return Number.isSafeInteger(value) || isLong(value);
  return typeof value === (type === 'number' ? 'number' : 'boolean');
}

/** Digits of a whole number of 64 bits that a double does not hold exactly. */
function isLong(value: unknown): value is string {
  if (typeof value !== 'string' || !/^-?\d{1,19}$/.test(value)) return false;
  return BigInt.asIntN(64, BigInt(value)) === BigInt(value);
}

function sourcesOf(rows: readonly Columns[], columns: readonly OutputColumn[]): ColumnSource[] {
  return columns.map(({ name, type }) => ({
    name,
    type: TYPES[type],
    nullable: true,
    data: rows.map((row) => writtenValue(row[name], name, type)),
  }));
}

function writtenValue(value: unknown, name: string, type: ColumnType): unknown {
  if (value === undefined || value === null) return null;
  if (!fits(value, type)) {
    throw new InputError(
      `the column ${JSON.stringify(name)} holds a ${typeof value}, and is of the type ${type}: leave it out, or ask for JSONL or CSV`,
    );
  }
  if (type === 'integer') return BigInt(value as number | string);
  if (type === 'number' || type === 'flag') return value;
  return typeof value === 'string' ? value : JSON.stringify(value);
}
