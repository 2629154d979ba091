/** What a job reads from files and writes into parts, whatever their format. */
import type { Compression, FileFormat } from '../../contract/jobs.js';
import type { FileRef } from '../files/place.js';

/**
 * A shard's part of its file. `bytes`: the rows whose first byte is within it (plain JSONL and CSV). `rows`: by number from the
 * start of the file (Parquet, and packed files, which are read from their beginning).
 */
export interface ShardRange {
  readonly unit: 'bytes' | 'rows';
  readonly start: number;
  /** Left out; undefined: to the end of the file. */
  readonly end?: number | undefined;
}

/** Columns of one row, as they are in the file: text, numbers, truth values, null, lists, objects. */
export type Columns = Readonly<Record<string, unknown>>;

/**
 * What a row has, or why it is none. Both: its columns can be kept, but one that a model is to read is no text in the file, though it
 * becomes one in the columns (base64, digits of a large number).
 */
export type RowContent =
  | { readonly columns: Columns }
  | { readonly bad: string }
  | { readonly columns: Columns; readonly bad: string };

/** One row. `at`: its number within the shard, from 0; blank lines are no rows. */
export type InputRow = { readonly at: number } & RowContent;

export interface InputOptions {
  readonly format: FileFormat;
  readonly compression: Compression;
  /** Of CSV; undefined: found by the first line. */
  readonly delimiter?: string | undefined;
  /** Columns that are needed; a format that can leaves out the others. Undefined: all. */
  readonly columns?: readonly string[] | undefined;
  /** Columns that a model is to read: a row where one of them is no text is told to be a bad one. */
  readonly texts?: readonly string[] | undefined;
}

/** What a file says of its columns; one that it says nothing of is left out. */
export type ColumnTypes = ReadonlyMap<string, OutputColumn['type']>;

/** One format of input files. */
export interface InputFormat {
  /** Cuts a file into shards of about `shardRows` rows, one after another, without holding more than one piece of it. */
  plan(
    file: FileRef,
    options: InputOptions,
    shardRows: number,
    signal: AbortSignal,
  ): AsyncIterable<ShardRange>;
  /** The types that the file itself declares, which its rows keep to. CSV and JSONL declare none. */
  columnTypes(file: FileRef, options: InputOptions, signal: AbortSignal): Promise<ColumnTypes>;
  /** The rows of a shard, in slices of some dozens, in order. Broken ones are told, not thrown. */
  read(
    file: FileRef,
    range: ShardRange,
    options: InputOptions,
    signal: AbortSignal,
  ): AsyncIterable<readonly InputRow[]>;
}

/** Columns of a part, in their order. `json`: lists and objects; JSONL has them as they are, CSV and Parquet as JSON text. */
export interface OutputColumn {
  readonly name: string;
  readonly type: 'text' | 'number' | 'integer' | 'flag' | 'json';
}

export interface OutputOptions {
  readonly format: FileFormat;
  readonly compression: Compression;
  /** Undefined: JSONL only, each row with what it has. */
  readonly columns: readonly OutputColumn[];
}

/** Turns rows into the bytes of a part. The same rows give the same bytes. */
export type Encode = (
  slices: AsyncIterable<readonly Columns[]>,
  options: OutputOptions,
) => AsyncIterable<Uint8Array>;
