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
import { decompressors } from './decompress.js';
import type { LookedAt, ParquetAnswer, ParquetQuestion } from './parquet-messages.js';
import { ChunkPages, chunksToWalk, type Page } from './parquet-pages.js';
import { typeOf } from './parquet-types.js';
import { PARSERS, type PlainRows, plainRows } from './parquet-values.js';

/** Files whose end is kept for the next shard. */
const MAX_KNOWN = 4;
const MAX_FOOTER_BYTES = 32 * 1024 * 1024;
const FOOTER_GUESS_BYTES = 64 * 1024;
const MIN_FILE_BYTES = 12;
/** Of what one step has read, kept for the next one. */
const MAX_KEPT_BYTES = 24 * 1024 * 1024;
/** Chunks up to that are read whole. */
const WALKED_BYTES = 2 * 1024 * 1024;
/** Chunks whose pages are known: some numbers for each page. */
const MAX_WALKED = 64;
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

  readonly #walked = new LRUCache<string, ChunkPages>({ max: MAX_WALKED });

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
      return { type: 'rows', ...(await this.#rows(known, question)) };
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

  /**
   * 1. Pages of chunks that were walked through: those that the step before did not leave are read, neighbours with one request.
   * 2. Else ranges are kept as they are: a short chunk is needed whole by every step of its row group.
   */
  #keepingBuffer(key: string, byteLength: number, walked: readonly ChunkPages[]): AsyncBuffer {
    const slice = async (start: number, end = byteLength) => {
      const chunk = walked.find((each) => each.start <= start && end <= each.end);
      const pages = chunk?.within(start, end);
      return pages === undefined ? this.#keep(key, start, end) : this.#joined(key, pages); // 1, 2
    };
    return { byteLength, slice };
  }

  async #keep(key: string, start: number, end: number): Promise<ArrayBuffer> {
    return (
      this.#recall(key, start, end) ?? this.#remember(key, start, await this.#slice(start, end))
    );
  }

  #recall(key: string, start: number, end: number): ArrayBuffer | undefined {
    const which = `${key} ${start} ${end}`;
    const kept = this.#kept.get(which);
    if (kept !== undefined) this.#asked.set(which, this.#step);
    return kept;
  }

  #remember(key: string, start: number, buffer: ArrayBuffer): ArrayBuffer {
    const which = `${key} ${start} ${start + buffer.byteLength}`;
    this.#asked.set(which, this.#step);
    if (buffer.byteLength <= MAX_KEPT_BYTES) this.#kept.set(which, buffer);
    return buffer;
  }

  async #joined(key: string, pages: readonly Page[]): Promise<ArrayBuffer> {
    const first = pages[0]?.start ?? 0;
    const joined = new Uint8Array((pages.at(-1)?.end ?? 0) - first);
    let missing: Page[] = [];
    const fetch = async () => {
      const [start, end] = [missing[0]?.start ?? 0, missing.at(-1)?.end ?? 0];
      if (start === end) return;
      const run = await this.#slice(start, end);
      joined.set(new Uint8Array(run), start - first);
      for (const page of missing) {
        this.#remember(key, page.start, run.slice(page.start - start, page.end - start));
      }
      missing = [];
    };
    for (const page of pages) {
      const kept = this.#recall(key, page.start, page.end);
      if (kept === undefined) {
        missing.push(page);
        continue;
      }
      await fetch();
      joined.set(new Uint8Array(kept), page.start - first);
    }
    await fetch();
    return joined.buffer;
  }

  /** Where the pages are of long chunks that have no index, as the library wants to be told. */
  async #walk(known: Known, key: string, rows: Parameters<typeof chunksToWalk>[1]) {
    const pageLocationsByGroup = known.metadata.row_groups.map(() => ({}));
    const walked: ChunkPages[] = [];
    for (const chunk of chunksToWalk(known.metadata, rows, WALKED_BYTES)) {
      const which = `${key} ${chunk.start}`;
      const pages = this.#walked.get(which) ?? new ChunkPages(chunk, this.#slice);
      this.#walked.set(which, pages);
      walked.push(pages);
      Object.assign(pageLocationsByGroup[chunk.group] ?? {}, {
        [chunk.path]: await pages.locations(chunk.from, chunk.to),
      });
    }
    return { pageLocationsByGroup, walked };
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
    known: Known,
    question: Extract<ParquetQuestion, { readonly type: 'read' }>,
  ): Promise<PlainRows> {
    const { file, from, to, columns } = question;
    this.#forget();
    const { metadata, looked, scales, codecs } = known;
    const total = looked.groupRows.reduce((sum, rows) => sum + rows, 0);
    const wanted = { from, to: Math.min(to, total), columns };
    const { walked, ...pages } = await this.#walk(known, file.key, wanted);
    const rows = await parquetReadObjects({
      ...pages,
      file: this.#keepingBuffer(file.key, file.bytes, walked),
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
    return plainRows(rows, { ...question, scales });
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
