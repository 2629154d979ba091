import type { Compressors, FileMetaData, SchemaElement } from 'hyparquet';
import { LRUCache } from 'lru-cache';
import { messageOf } from '../../../errors.js';
import { InputError } from '../../files/input-error.js';
import type { FileRef } from '../../files/place.js';
import type { InputFormat, InputOptions, InputRow, ShardRange } from '../format.js';
import { assertColumns } from '../reading/dialect.js';
import type { FileReader } from '../reading/pieces.js';
import { slicesOf } from '../reading/slices.js';
import { decompressors } from './decompress.js';
import { ParquetFile, readMetadata, topColumns } from './parquet-file.js';
import { parquetShards } from './parquet-shards.js';
import { decimalOf, PARSERS, plainRow } from './parquet-values.js';

/** Files whose list of row groups is kept for the next shard. */
const MAX_KNOWN = 4;
/** Rows are decoded in steps of about so much. */
const STEP_BYTES = 8 * 1024 * 1024;

/** What is known of a file. */
interface Known {
  readonly metadata: FileMetaData;
  readonly groupRows: readonly number[];
  readonly columns: readonly string[];
  /** Scales of the decimals of the top level, whose digits are kept exactly. */
  readonly scales: ReadonlyMap<string, number>;
}

/**
 * Parquet. What it holds at once: the columns that are needed of one row group as they are in the file, or only the pages of the shard
 * where the file has an offset index, and the values of some thousand rows.
 */
export class ParquetFormat implements InputFormat {
  readonly #reader: FileReader;
  readonly #known = new LRUCache<string, Known>({ max: MAX_KNOWN });
  #compressors: Promise<Compressors> | undefined;

  constructor(reader: FileReader) {
    this.#reader = reader;
  }

  async *plan(file: FileRef, options: InputOptions, shardRows: number, signal: AbortSignal) {
    const { groupRows } = await this.#look(file, options, signal);
    yield* parquetShards(groupRows, shardRows);
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
    const known = await this.#look(file, options, signal);
    const total = known.groupRows.reduce((sum, rows) => sum + rows, 0);
    const end = Math.min(range.end ?? total, total);
    const columns = options.columns ?? known.columns;
    const rowBytes = bytesOfRow(known, columns);
    const step = Math.max(1, Math.floor(STEP_BYTES / rowBytes));
    let at = 0;
    for (let from = range.start; from < end; from += step) {
      signal.throwIfAborted();
      const to = Math.min(from + step, end);
      const rows = await this.#decode(file, known, { from, to, columns }, signal);
      yield rows.map((row) => {
        const plain = plainRow(row);
        const told: InputRow =
          typeof plain === 'string' ? { at, bad: plain } : { at, columns: plain };
        at += 1;
        return { row: told, bytes: rowBytes };
      });
    }
  }

  async #decode(
    file: FileRef,
    { metadata, scales }: Known,
    of: { readonly from: number; readonly to: number; readonly columns: readonly string[] },
    signal: AbortSignal,
  ): Promise<Record<string, unknown>[]> {
    const buffer = new ParquetFile(this.#reader, file, signal);
    const { parquetReadObjects } = await import('hyparquet');
    this.#compressors ??= decompressors();
    const compressors = await this.#compressors;
    const rows = await told(file, buffer, () =>
      parquetReadObjects({
        file: buffer,
        metadata,
        columns: [...of.columns],
        rowStart: of.from,
        rowEnd: of.to,
        compressors,
        parsers: PARSERS,
        // Bytes that are not said to be text are looked at first.
        utf8: false,
        geoparquet: false,
        useOffsetIndex: true,
      }),
    );
    if (rows.length !== of.to - of.from) {
      throw new InputError(`${file.url} has fewer rows than it says: it is broken`);
    }
    for (const [name, scale] of scales) {
      for (const row of rows) if (name in row) row[name] = decimalOf(row[name], scale);
    }
    return rows;
  }

  async #look(file: FileRef, options: InputOptions, signal: AbortSignal): Promise<Known> {
    if (file.ranged === false) {
      throw new InputError(
        `${file.url}: its server sends no ranges, which Parquet needs: fetch it first, or use another server`,
      );
    }
    const key = JSON.stringify([file.url, file.version]);
    const known = this.#known.get(key) ?? (await this.#readKnown(file, signal));
    this.#known.set(key, known);
    assertColumns(file, known.columns, options.columns);
    return known;
  }

  async #readKnown(file: FileRef, signal: AbortSignal): Promise<Known> {
    const buffer = new ParquetFile(this.#reader, file, signal);
    return told(file, buffer, async () => {
      const metadata = await readMetadata(buffer, file);
      const top = topColumns(metadata);
      return {
        metadata,
        groupRows: metadata.row_groups.map(({ num_rows }) => Number(num_rows)),
        columns: top.map(({ name }) => name),
        scales: takeScales(top),
      };
    });
  }
}

/** Hides from the library which columns are decimals: it would round them to doubles. */
function takeScales(columns: readonly SchemaElement[]): ReadonlyMap<string, number> {
  const scales = new Map<string, number>();
  for (const element of columns) {
    const { converted_type: converted, logical_type: logical, num_children: children } = element;
    const isDecimal = converted === 'DECIMAL' || logical?.type === 'DECIMAL';
    if (!isDecimal || children || element.repetition_type === 'REPEATED') continue;
    scales.set(element.name, element.scale ?? 0);
    delete element.converted_type;
    delete element.logical_type;
  }
  return scales;
}

/** About how many bytes a row’s needed columns are. */
function bytesOfRow({ metadata, groupRows }: Known, columns: readonly string[]): number {
  const chunks = metadata.row_groups.flatMap((group) => group.columns);
  const needed = chunks.filter(({ meta_data: of }) =>
    columns.includes(of?.path_in_schema[0] ?? ''),
  );
  const bytes = needed.reduce(
    (sum, { meta_data: of }) => sum + Number(of?.total_uncompressed_size ?? 0),
    0,
  );
  const rows = groupRows.reduce((sum, each) => sum + each, 0);
  return Math.max(1, Math.ceil(bytes / Math.max(1, rows)));
}

/** What the library throws for broken files says little: it is told which file is broken. */
async function told<T>(file: FileRef, buffer: ParquetFile, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (buffer.failure !== undefined) throw buffer.failure;
    if (error instanceof InputError) throw error;
    throw new InputError(
      `${file.url}: its Parquet is broken, or of a kind that cannot be read: ${messageOf(error)}`,
      error,
    );
  }
}
