/** What the thread does: it knows files by their ends, and decodes rows. */
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  type SchemaElement,
} from 'hyparquet';
import { LRUCache } from 'lru-cache';
import { messageOf } from '../../../errors.js';
import type { Columns } from '../format.js';
import { decompressors } from './decompress.js';
import type { LookedAt, ParquetAnswer, ParquetQuestion } from './parquet-messages.js';
import { typeOf } from './parquet-types.js';
import { decimalOf, PARSERS, plainRow } from './parquet-values.js';

/** Files whose end is kept for the next shard. */
const MAX_KNOWN = 4;
const MAX_FOOTER_BYTES = 32 * 1024 * 1024;
const FOOTER_GUESS_BYTES = 64 * 1024;
const MIN_FILE_BYTES = 12;
/** Of columns that are read whole for every step, kept for the next one. */
const MAX_KEPT_BYTES = 32 * 1024 * 1024;
/** What so many steps have not asked for is of a row group that no shard reads any more. */
const KEPT_STEPS = 4;
const MB = 1024 * 1024;

interface Known {
  readonly metadata: FileMetaData;
  readonly looked: LookedAt;
  /** Scales of the decimals of the top level, whose digits are kept exactly. */
  readonly scales: ReadonlyMap<string, number>;
  readonly codecs: ReadonlySet<string>;
}

/** Why a file cannot be read, in words of ours. */
class Refusal extends Error {}

export class ParquetDecoder {
  readonly #slice: (start: number, end: number) => Promise<ArrayBuffer>;
  readonly #known = new LRUCache<string, Known>({ max: MAX_KNOWN });
  readonly #kept = new LRUCache<string, ArrayBuffer>({
    maxSize: MAX_KEPT_BYTES,
    sizeCalculation: (buffer) => Math.max(1, buffer.byteLength),
  });

  /** Steps so far, and the last one that asked for each range that is kept. */
  #step = 0;
  readonly #asked = new Map<string, number>();

  constructor(slice: (start: number, end: number) => Promise<ArrayBuffer>) {
    this.#slice = slice;
  }

  async answer(question: ParquetQuestion): Promise<ParquetAnswer> {
    try {
      const { key, bytes } = question.file;
      const known = this.#known.get(key) ?? (await this.#look(bytes));
      this.#known.set(key, known);
      if (question.type === 'look') return { type: 'looked', looked: known.looked };
      return { type: 'rows', rows: await this.#rows(known, question) };
    } catch (error) {
      const kind = 'its Parquet is broken, or of a kind that cannot be read: ';
      return {
        type: 'broken',
        reason: `${error instanceof Refusal ? '' : kind}${messageOf(error)}`,
      };
    }
  }

  #buffer(byteLength: number): AsyncBuffer {
    return { byteLength, slice: (start, end = byteLength) => this.#slice(start, end) };
  }

  /** Where a file has no index of its pages, a shard needs its columns’ whole part of the row group, and so does the next one. */
  #keepingBuffer(key: string, byteLength: number): AsyncBuffer {
    const slice = async (start: number, end = byteLength) => {
      const which = `${key} ${start} ${end}`;
      const buffer = this.#kept.get(which) ?? (await this.#slice(start, end));
      this.#asked.set(which, this.#step);
      if (buffer.byteLength <= MAX_KEPT_BYTES) this.#kept.set(which, buffer);
      return buffer;
    };
    return { byteLength, slice };
  }

  #forget(): void {
    this.#step += 1;
    for (const [which, step] of this.#asked) {
      if (this.#step - step <= KEPT_STEPS) continue;
      this.#asked.delete(which);
      this.#kept.delete(which);
    }
  }

  async #look(bytes: number): Promise<Known> {
    const buffer = this.#buffer(bytes);
    await this.#assertParquet(bytes);
    const metadata = await parquetMetadataAsync(buffer, {
      initialFetchSize: Math.min(FOOTER_GUESS_BYTES, bytes),
      geoparquet: false,
    });
    const top = topColumns(metadata);
    const groupRows = metadata.row_groups.map(({ num_rows }) => Number(num_rows));
    if (groupRows.some((rows) => !Number.isSafeInteger(rows) || rows < 0)) {
      throw new Error('a row group has no sensible number of rows');
    }
    const chunks = metadata.row_groups.flatMap((group) => group.columns);
    const columns = top.map((element) => {
      const { name } = element;
      const own = chunks.filter(({ meta_data: of }) => of?.path_in_schema[0] === name);
      return {
        name,
        type: typeOf(element),
        bytes: own.reduce((sum, { meta_data: of }) => sum + Number(of?.total_uncompressed_size), 0),
      };
    });
    const codecs = new Set(chunks.map(({ meta_data: of }) => String(of?.codec)));
    return { metadata, looked: { groupRows, columns }, scales: takeScales(top), codecs };
  }

  async #assertParquet(bytes: number): Promise<void> {
    if (bytes < MIN_FILE_BYTES) throw new Refusal('it is too short to be Parquet');
    const end = Buffer.from(await this.#slice(bytes - 8, bytes));
    const magic = end.toString('latin1', 4);
    if (magic === 'PARE') throw new Refusal('it is encrypted Parquet, which cannot be read');
    if (magic !== 'PAR1') {
      throw new Refusal(
        'it is no Parquet, or its end is missing: it was not written, or not copied, whole',
      );
    }
    if (end.readUInt32LE(0) > MAX_FOOTER_BYTES) {
      throw new Refusal(`its list of row groups has more than ${MAX_FOOTER_BYTES / MB} MB`);
    }
  }

  async #rows(
    { metadata, looked, scales, codecs }: Known,
    { file, from, to, columns }: Extract<ParquetQuestion, { readonly type: 'read' }>,
  ): Promise<(Columns | string)[]> {
    this.#forget();
    const total = looked.groupRows.reduce((sum, rows) => sum + rows, 0);
    const hasIndex = metadata.row_groups[0]?.columns[0]?.offset_index_offset !== undefined;
    const rows = await parquetReadObjects({
      file: hasIndex ? this.#buffer(file.bytes) : this.#keepingBuffer(file.key, file.bytes),
      metadata,
      columns: [...columns],
      rowStart: from,
      rowEnd: Math.min(to, total),
      compressors: await decompressors(codecs),
      parsers: PARSERS,
      // Bytes that are not said to be text are looked at first.
      utf8: false,
      geoparquet: false,
      useOffsetIndex: true,
    });
    if (rows.length !== Math.min(to, total) - from)
      throw new Error('it has fewer rows than it says');
    for (const [name, scale] of scales) {
      for (const row of rows) if (name in row) row[name] = decimalOf(row[name], scale);
    }
    return rows.map(plainRow);
  }
}

/** The columns of the top level, each with its element. */
function topColumns({ schema }: FileMetaData): readonly SchemaElement[] {
  const columns: SchemaElement[] = [];
  let at = 1;
  const pass = (): SchemaElement | undefined => {
    const element = schema[at];
    at += 1;
    for (let child = 0; child < (element?.num_children ?? 0) && at < schema.length; child += 1)
      pass();
    return element;
  };
  while (at < schema.length) {
    const element = pass();
    if (element !== undefined) columns.push(element);
  }
  return columns;
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
