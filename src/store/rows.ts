import type { Schema } from './schema.js';

export type Value = string | number | null;
export type TableName = keyof Schema;

/** What the recorder must know of a table. Columns are only ever added at the end: spill files name none. */
export interface Table {
  readonly columns: readonly string[];
  /** Column by which the oldest row is found. */
  readonly time: string;
  /**
   * A row that is written again is left alone; or, with a column here, takes the place of one whose
   * number there is not higher: a late or repeated write never brings an earlier state back.
   */
  readonly newest: string | undefined;
  /** Columns in which many rows of a batch have the same: such rows are written with one copy of it. */
  readonly shared?: readonly string[];
}

/** In the order in which a batch is written. The first column of each is `id`, its primary key. */
export const TABLES = {
  servers: {
    columns: ['id', 'started_at_ms', 'seen_at_ms'],
    time: 'seen_at_ms',
    newest: 'seen_at_ms',
  },
  sessions: {
    columns: [
      ...['id', 'state', 'max_users', 'users', 'requests', 'opened_at_ms', 'ended_at_ms', 'body'],
      ...['server', 'revision'],
    ],
    time: 'opened_at_ms',
    newest: 'revision',
  },
  session_users: {
    columns: ['id', 'session', 'user_hash', 'at_ms'],
    time: 'at_ms',
    newest: undefined,
  },
  receipts: {
    columns: ['id', 'kind', 'session', 'started_at_ms', 'body'],
    time: 'started_at_ms',
    newest: undefined,
  },
  readings: {
    columns: [
      ...['id', 'server', 'at_ms', 'count', 'server_total_bytes', 'load_line_bytes'],
      ...['server_used_mean_bytes', 'server_used_max_bytes', 'private_mean_bytes'],
      ...['private_max_bytes', 'pss_mean_bytes', 'pss_max_bytes', 'pressure_max'],
    ],
    time: 'at_ms',
    newest: undefined,
  },
  events: {
    columns: ['id', 'at_ms', 'server', 'kind', 'text', 'session', 'model', 'worker'],
    time: 'at_ms',
    newest: undefined,
  },
  records: {
    columns: [
      ...['id', 'at_ms', 'session', 'user_hash', 'model', 'input_hash', 'label', 'score', 'ms'],
      ...['tier', 'input'],
    ],
    time: 'at_ms',
    newest: undefined,
    shared: ['session', 'user_hash', 'model', 'tier', 'input'],
  },
} as const satisfies Record<TableName, Table>;

/** One row on its way into the database. */
export interface Row {
  readonly table: TableName;
  /** In the order of the table's columns. */
  readonly values: readonly Value[];
}

/** Bytes that a row holds while it waits, roughly: an object, an array, and two for each character. */
export function sizeOf({ values }: Row): number {
  let bytes = 96;
  for (const value of values) bytes += typeof value === 'string' ? 24 + 2 * value.length : 8;
  return bytes;
}

/** The row of an object with the table's columns as its fields; what it lacks is null. */
export function rowOf<T extends TableName>(table: T, fields: Partial<Schema[T]>): Row {
  const named = fields as Readonly<Record<string, Value | undefined>>;
  return { table, values: TABLES[table].columns.map((column) => storable(named[column] ?? null)) };
}

/** PostgreSQL keeps no NUL in a text. */
export function storable(value: string): string;
export function storable(value: Value): Value;
export function storable(value: Value): Value {
  return typeof value === 'string' && value.includes('\0')
    ? value.replaceAll('\0', '\uFFFD')
    : value;
}

/** A number as text that sorts like it: rows of one millisecond are listed by their ids. */
export function sortable(number: number, digits: number): string {
  return number.toString(36).padStart(digits, '0');
}
