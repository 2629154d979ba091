import { type Row, sizeOf, sortable, storableText, type Value } from './rows.js';

/** One classified input; its row is built when it is written. */
export interface Classified {
  /** The row's id is `run.request.index`. */
  readonly run: string;
  readonly request: number;
  readonly index: number;
  readonly atMs: number;
  readonly session: string;
  readonly userHash: string;
  readonly model: string;
  readonly inputHash: string;
  readonly label: string;
  readonly score: number;
  readonly ms: number;
  readonly tier: string | null;
  readonly input: string | null;
}

/** Rows of one chunk. Equal to the recorder's batch, so that a steady stream reuses the same two chunks. */
const CHUNK_ROWS = 256;
/** Bytes of a classified input: its column slots and the hash of its input; the other texts are shared. */
const CLASSIFIED_BYTES = 200;

/**
 * Rows that wait in memory, first in, first out. Nearly all are classified inputs. Those are stored in columns,
 * as numbers and references to existing texts: row objects would survive several garbage collections until they
 * are written, and copying them would cost as much as writing them.
 */
export class RowBuffer {
  /** Oldest first. */
  readonly #chunks: Chunk[] = [];
  /** An empty chunk, for reuse. */
  #spare: Chunk | undefined;
  /** Rows of the first chunk that are dropped. */
  #begin = 0;
  #length = 0;
  #bytes = 0;

  get length(): number {
    return this.#length;
  }

  /** Approximate memory of the rows, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  push(row: Row): void {
    this.#chunkForOne().put(row);
    this.#bytes += sizeOf(row);
  }

  pushClassified(classified: Classified): void {
    this.#chunkForOne().putClassified(classified);
    this.#bytes += bytesOf(classified.input);
  }

  /** The oldest rows: at most so many, and at most so many bytes unless a single row has more. */
  first(count: number, maxBytes = Number.POSITIVE_INFINITY): readonly Row[] {
    const rows: Row[] = [];
    let bytes = 0;
    let begin = this.#begin;
    for (const chunk of this.#chunks) {
      for (let at = begin; at < chunk.length; at += 1) {
        bytes += chunk.bytesAt(at);
        if (rows.length === count || (rows.length > 0 && bytes > maxBytes)) return rows;
        rows.push(chunk.rowAt(at));
      }
      begin = 0;
    }
    return rows;
  }

  /** How many rows {@link first} would give. */
  count(count: number, maxBytes: number): number {
    let rows = 0;
    let bytes = 0;
    let begin = this.#begin;
    for (const chunk of this.#chunks) {
      for (let at = begin; at < chunk.length; at += 1) {
        bytes += chunk.bytesAt(at);
        if (rows === count || (rows > 0 && bytes > maxBytes)) return rows;
        rows += 1;
      }
      begin = 0;
    }
    return rows;
  }

  /** Drops the oldest rows. */
  drop(count: number): void {
    for (let left = Math.min(count, this.#length); left > 0; left -= 1) {
      const [chunk] = this.#chunks;
      if (chunk === undefined) return;
      this.#bytes -= chunk.clear(this.#begin);
      this.#begin += 1;
      this.#length -= 1;
      if (this.#begin === chunk.length) this.#retire(chunk);
    }
  }

  #chunkForOne(): Chunk {
    this.#length += 1;
    const last = this.#chunks.at(-1);
    if (last !== undefined && last.length < CHUNK_ROWS) return last;
    const chunk = this.#spare ?? new Chunk();
    this.#spare = undefined;
    this.#chunks.push(chunk);
    return chunk;
  }

  #retire(chunk: Chunk): void {
    this.#chunks.shift();
    this.#begin = 0;
    chunk.length = 0;
    this.#spare = chunk;
  }
}

/** Approximate memory of a waiting classified input, in bytes; `input` is its text if that is kept. */
export function bytesOf(input: string | null): number {
  return input === null ? CLASSIFIED_BYTES : CLASSIFIED_BYTES + 24 + 2 * input.length;
}

/** Offsets of the number columns in a chunk. */
const COLUMN = {
  request: 0,
  index: CHUNK_ROWS,
  atMs: 2 * CHUNK_ROWS,
  score: 3 * CHUNK_ROWS,
  ms: 4 * CHUNK_ROWS,
} as const;

class Chunk {
  length = 0;
  /** Rows that came as rows; undefined for classified inputs, which are in the columns. */
  readonly #rows: (Row | undefined)[] = new Array(CHUNK_ROWS).fill(undefined);
  readonly #numbers = new Float64Array(5 * CHUNK_ROWS);
  readonly #runs = texts();
  readonly #sessions = texts();
  readonly #userHashes = texts();
  readonly #models = texts();
  readonly #inputHashes = texts();
  readonly #labels = texts();
  readonly #tiers: (string | null)[] = new Array(CHUNK_ROWS).fill(null);
  readonly #inputs: (string | null)[] = new Array(CHUNK_ROWS).fill(null);

  put(row: Row): void {
    this.#rows[this.length] = row;
    this.length += 1;
  }

  putClassified(of: Classified): void {
    const at = this.length;
    this.length += 1;
    this.#numbers[COLUMN.request + at] = of.request;
    this.#numbers[COLUMN.index + at] = of.index;
    this.#numbers[COLUMN.atMs + at] = of.atMs;
    this.#numbers[COLUMN.score + at] = of.score;
    this.#numbers[COLUMN.ms + at] = of.ms;
    this.#runs[at] = of.run;
    this.#sessions[at] = of.session;
    this.#userHashes[at] = of.userHash;
    this.#models[at] = of.model;
    this.#inputHashes[at] = of.inputHash;
    this.#labels[at] = of.label;
    this.#tiers[at] = of.tier;
    this.#inputs[at] = of.input;
  }

  rowAt(at: number): Row {
    return this.#rows[at] ?? { table: 'records', values: this.#valuesAt(at) };
  }

  /** The bytes that a row was counted with. */
  bytesAt(at: number): number {
    const row = this.#rows[at];
    return row === undefined ? bytesOf(this.#inputs[at] ?? null) : sizeOf(row);
  }

  /** Releases texts that may be large. @returns the bytes that the row was counted with */
  clear(at: number): number {
    const bytes = this.bytesAt(at);
    this.#rows[at] = undefined;
    this.#inputs[at] = null;
    return bytes;
  }

  /** Values in the order of the table's columns. */
  #valuesAt(at: number): readonly Value[] {
    const number = (column: number) => this.#numbers[column + at] ?? 0;
    const input = this.#inputs[at];
    return [
      recordId(this.#runs[at] ?? '', number(COLUMN.request), number(COLUMN.index)),
      number(COLUMN.atMs),
      this.#sessions[at] ?? '',
      this.#userHashes[at] ?? '',
      this.#models[at] ?? '',
      this.#inputHashes[at] ?? '',
      storableText(this.#labels[at] ?? ''),
      number(COLUMN.score),
      Math.round(number(COLUMN.ms) * 1000) / 1000,
      this.#tiers[at] ?? null,
      input == null ? null : storableText(input),
    ];
  }
}

/** Ids of one run sort by request, then by input. */
function recordId(run: string, request: number, index: number): string {
  return `${run}.${sortable(request, 7)}.${sortable(index, 4)}`;
}

function texts(): string[] {
  return new Array(CHUNK_ROWS).fill('');
}
