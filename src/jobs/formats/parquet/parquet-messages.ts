/** What goes between the server and its thread for Parquet. */
import type { InputOptions, OutputColumn, RowContent } from '../format.js';

export interface AskedFile {
  /** Changes with its content. */
  readonly key: string;
  readonly bytes: number;
}

export interface LookedColumn {
  readonly name: string;
  readonly bytes: number;
  readonly type: OutputColumn['type'];
}

/** What a file’s end says. */
export interface LookedAt {
  readonly groupRows: readonly number[];
  /** Of the top level, with the bytes that they unpack to. */
  readonly columns: readonly LookedColumn[];
}

export type ParquetQuestion =
  | { readonly type: 'look'; readonly file: AskedFile }
  | {
      readonly type: 'read';
      readonly file: AskedFile;
      readonly from: number;
      readonly to: number;
      readonly columns: readonly string[];
      /** Columns that a model is to read, see {@link InputOptions}. */
      readonly texts: readonly string[];
      /** Once the rows have decoded to more than that, the others are left for the next question. */
      readonly maxBytes: number;
    };

export type ToThread =
  | ParquetQuestion
  /** A range that the thread asked for; without it: it could not be read. */
  | { readonly type: 'range'; readonly range: number; readonly buffer?: ArrayBuffer };

export type ParquetAnswer =
  | { readonly type: 'looked'; readonly looked: LookedAt }
  /** The first of the rows that were asked for, at least one, and what they decoded to. */
  | { readonly type: 'rows'; readonly rows: readonly RowContent[]; readonly bytes: number }
  /** Why the file cannot be read. */
  | { readonly type: 'broken'; readonly reason: string };

export type FromThread =
  | ParquetAnswer
  | {
      readonly type: 'slice';
      readonly range: number;
      readonly start: number;
      readonly end: number;
    };
