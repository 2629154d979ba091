/**
 * Where the pages of a column chunk begin, for files without an index of pages (what pyarrow and pandas write by default). A chunk is
 * its dictionary page, if it has one, and its data pages; each begins with a header that says how long it is and how many values it has
 * (https://parquet.apache.org/docs/file-format/data-pages/). The headers are read one after another, and nothing else.
 */
import type { ColumnMetaData, FileMetaData, PageHeader } from 'hyparquet';
import { parquetSchema } from 'hyparquet';
// The package exports its modules one by one; this one is not part of its main module.
import { parquetHeader } from 'hyparquet/src/column.js';

/** A header has some dozen bytes, and the smallest and largest value of its page, which may be long. */
const WINDOW_BYTES = 16 * 1024;
const MAX_HEADER_BYTES = 16 * 1024 * 1024;

export type Slice = (start: number, end: number) => Promise<ArrayBuffer>;

export interface Page {
  readonly start: number;
  readonly end: number;
  /** Within the row group; -1: a dictionary. */
  readonly firstRow: number;
}

/** What the library knows a page by. */
interface PageLocation {
  readonly offset: bigint;
  readonly compressed_page_size: number;
  readonly first_row_index: bigint;
}

/** The pages of one column chunk whose values are rows, found as far as they are needed. */
export class ChunkPages {
  readonly start: number;
  readonly end: number;
  readonly #slice: Slice;
  readonly #pages: Page[] = [];
  /** Of the header that is read next, and the first row of its page. */
  #at: number;
  #rows = 0;
  /** Bytes behind the last header that was read, which may have the next ones. */
  #window: { readonly start: number; readonly bytes: ArrayBuffer } | undefined;

  constructor(chunk: Pick<Chunk, 'start' | 'end'>, slice: Slice) {
    this.start = chunk.start;
    this.end = chunk.end;
    this.#at = chunk.start;
    this.#slice = slice;
  }

  /**
   * The pages of some rows, with the one behind them, which tells where the last one ends; the first data page comes first, for the
   * dictionary is before it.
   *
   * @throws Error if the headers are broken
   */
  async locations(from: number, to: number): Promise<PageLocation[]> {
    while (this.#at < this.end && this.#rows < to) await this.#next();
    const data = this.#pages.filter(({ firstRow }) => firstRow >= 0);
    let first = data.findLastIndex(({ firstRow }) => firstRow <= from);
    // Pages without a row begin with the same one.
    while (first > 0 && data[first - 1]?.firstRow === data[first]?.firstRow) first -= 1;
    const needed = data.filter(({ firstRow }, index) => index >= first && firstRow < to);
    const [head] = data;
    if (head === undefined || needed.length === 0 || this.#rows < to) {
      throw new Error('a column has fewer values than rows');
    }
    const shown = needed[0] === head ? needed : [head, ...needed];
    const behind = { start: needed.at(-1)?.end ?? 0, end: needed.at(-1)?.end ?? 0 };
    const nextRow = data[data.indexOf(needed.at(-1) ?? head) + 1]?.firstRow ?? this.#rows;
    return [...shown, { ...behind, firstRow: nextRow }].map(({ start, end, firstRow }) => ({
      offset: BigInt(start),
      compressed_page_size: end - start,
      first_row_index: BigInt(firstRow),
    }));
  }

  /** Its pages within a range, if the range begins and ends with pages that are known. */
  within(start: number, end: number): readonly Page[] | undefined {
    const pages = this.#pages.filter((page) => page.start >= start && page.end <= end);
    const isWhole = pages[0]?.start === start && pages.at(-1)?.end === end;
    return isWhole ? pages : undefined;
  }

  async #next(): Promise<void> {
    const { header, bytes } = await this.#header();
    const end = this.#at + bytes + header.compressed_page_size;
    const { data_page_header: first, data_page_header_v2: second } = header;
    const values = second?.num_rows ?? first?.num_values;
    if (!(header.compressed_page_size >= 0 && end <= this.end && (values ?? 0) >= 0)) {
      throw new Error('a page goes beyond its column');
    }
    if (values !== undefined) {
      this.#pages.push({ start: this.#at, end, firstRow: this.#rows });
      this.#rows += values;
    } else this.#pages.push({ start: this.#at, end, firstRow: -1 });
    this.#at = end;
  }

  async #header(): Promise<{ readonly header: PageHeader; readonly bytes: number }> {
    const most = this.end - this.#at;
    for (let wanted = WINDOW_BYTES; ; wanted *= 4) {
      const window = await this.#windowOf(Math.min(wanted, most), wanted === WINDOW_BYTES);
      const reader = { view: new DataView(window.bytes, this.#at - window.start), offset: 0 };
      try {
        const header = parquetHeader(reader);
        return { header, bytes: reader.offset };
      } catch (error) {
        // It may be longer than what was read.
        if (wanted >= Math.min(most, MAX_HEADER_BYTES)) throw error;
      }
    }
  }

  /** @param isFirst what is left of the last window will do */
  async #windowOf(bytes: number, isFirst: boolean) {
    const kept = this.#window;
    const isWithin =
      kept !== undefined && kept.start <= this.#at && this.#at < kept.start + kept.bytes.byteLength;
    if (isFirst && isWithin) return kept;
    const window = { start: this.#at, bytes: await this.#slice(this.#at, this.#at + bytes) };
    this.#window = window;
    return window;
  }
}

/** A column chunk that is needed. */
export interface Chunk {
  readonly group: number;
  readonly path: string;
  readonly start: number;
  readonly end: number;
}

export interface NeededChunk extends Chunk {
  /** Rows within the row group. */
  readonly from: number;
  readonly to: number;
}

/**
 * Chunks of which only some pages are needed, and whose pages the file does not list:
 *
 * 1. of the columns that are read, in the row groups of which some rows are read,
 * 2. longer than `leastBytes`, without an index,
 * 3. with one value for each row: how many rows a page with lists has is within the page.
 */
export function chunksToWalk(
  metadata: FileMetaData,
  { from, to, columns }: { from: number; to: number; columns: readonly string[] },
  leastBytes: number,
): readonly NeededChunk[] {
  const found: NeededChunk[] = [];
  let groupStart = 0;
  for (const [group, { num_rows, columns: chunks }] of metadata.row_groups.entries()) {
    const rows = {
      from: Math.max(0, from - groupStart),
      to: Math.min(to - groupStart, Number(num_rows)),
    };
    groupStart += Number(num_rows);
    if (rows.from >= rows.to || rows.to - rows.from === Number(num_rows)) continue; // 1
    for (const { meta_data: of, offset_index_offset: index } of chunks) {
      if (of === undefined || !columns.includes(of.path_in_schema[0] ?? '')) continue;
      const range = rangeOf(of);
      if (index || range.end - range.start <= leastBytes) continue; // 2
      if (isRepeated(metadata, of.path_in_schema)) continue; // 3
      found.push({ group, path: of.path_in_schema.join('.'), ...range, ...rows });
    }
  }
  return found;
}

function rangeOf(of: ColumnMetaData): { readonly start: number; readonly end: number } {
  const start = Number(of.dictionary_page_offset || of.data_page_offset);
  return { start, end: start + Number(of.total_compressed_size) };
}

function isRepeated(metadata: FileMetaData, path: readonly string[]): boolean {
  let at = parquetSchema(metadata);
  for (const name of path) {
    const next = at.children.find(({ element }) => element.name === name);
    if (next === undefined || next.element.repetition_type === 'REPEATED') return true;
    at = next;
  }
  return false;
}
