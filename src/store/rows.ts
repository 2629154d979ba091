import type { Schema } from './schema.js';

export type Value = string | number | null;
export type TableName = keyof Schema;

/**
 * What a column holds, the same in SQLite and PostgreSQL: text; whole numbers of 32 or 64 bits (PostgreSQL's
 * `integer` and `bigint`); double precision.
 */
export type ColumnKind = 'text' | 'int32' | 'int64' | 'real';

/** How the recorder writes a table. */
export interface Table {
  /** Each column with its kind. New columns go at the end: lines of the spill file have no column names. */
  readonly kinds: Readonly<Record<string, ColumnKind>>;
  /** The names of the columns, in order. */
  readonly columns: readonly string[];
  /** Column by which the oldest row is found. */
  readonly time: string;
  /**
   * What happens to a row whose id exists already. Without a column here: nothing. With one: it replaces the
   * existing row unless that one's value is higher, so that a late or repeated write restores no old state.
   */
  readonly newest: string | undefined;
  /** Columns in which many rows of a batch are equal; each such value is sent once per statement. */
  readonly shared: readonly string[];
}

function table<T extends TableName>(
  time: keyof Schema[T] & string,
  kinds: Readonly<Record<keyof Schema[T] & string, ColumnKind>>,
  options: { readonly newest?: string; readonly shared?: readonly string[] } = {},
): Table {
  const { newest, shared = [] } = options;
  return { kinds, columns: Object.keys(kinds), time, newest, shared };
}

/** In the order in which a batch is written. The first column of each table is `id`, its primary key. */
export const TABLES: Readonly<Record<TableName, Table>> = {
  servers: table<'servers'>(
    'seen_at_ms',
    { id: 'text', started_at_ms: 'int64', seen_at_ms: 'int64' },
    { newest: 'seen_at_ms' },
  ),
  sessions: table<'sessions'>(
    'opened_at_ms',
    {
      ...{ id: 'text', state: 'text', max_users: 'int32', users: 'int32', requests: 'int64' },
      ...{ opened_at_ms: 'int64', ended_at_ms: 'int64', body: 'text', server: 'text' },
      revision: 'int64',
    },
    { newest: 'revision' },
  ),
  session_users: table<'session_users'>('at_ms', {
    ...{ id: 'text', session: 'text', user_hash: 'text', at_ms: 'int64' },
  }),
  receipts: table<'receipts'>('started_at_ms', {
    ...{ id: 'text', kind: 'text', session: 'text', started_at_ms: 'int64', body: 'text' },
  }),
  readings: table<'readings'>('at_ms', {
    ...{ id: 'text', server: 'text', at_ms: 'int64', count: 'int64' },
    ...{ server_total_bytes: 'int64', load_line_bytes: 'int64' },
    ...{ server_used_mean_bytes: 'int64', server_used_max_bytes: 'int64' },
    ...{ private_mean_bytes: 'int64', private_max_bytes: 'int64' },
    ...{ pss_mean_bytes: 'int64', pss_max_bytes: 'int64', pressure_max: 'int64' },
  }),
  events: table<'events'>('at_ms', {
    ...{ id: 'text', at_ms: 'int64', server: 'text', kind: 'text', text: 'text' },
    ...{ session: 'text', model: 'text', worker: 'text' },
  }),
  records: table<'records'>(
    'at_ms',
    {
      ...{ id: 'text', at_ms: 'int64', session: 'text', user_hash: 'text', model: 'text' },
      ...{ input_hash: 'text', label: 'text', score: 'real', ms: 'real', tier: 'text' },
      input: 'text',
    },
    { shared: ['session', 'user_hash', 'model', 'tier', 'input'] },
  ),
};

/** One row to be written. */
export interface Row {
  readonly table: TableName;
  /** In the order of the table's columns. */
  readonly values: readonly Value[];
}

/** Approximate memory of a waiting row, in bytes: an object, an array, and two per character. */
export function sizeOf({ values }: Row): number {
  let bytes = 96;
  for (const value of values) bytes += typeof value === 'string' ? 24 + 2 * value.length : 8;
  return bytes;
}

/** The row of an object with the table's columns as its fields; a missing field is null. */
export function rowOf<T extends TableName>(table: T, fields: Partial<Schema[T]>): Row {
  const named = fields as Readonly<Record<string, Value | undefined>>;
  const values = Object.entries(TABLES[table].kinds).map(([column, kind]) =>
    storedValue(kind, named[column] ?? null),
  );
  return { table, values };
}

const INT32_MAX = 2 ** 31 - 1;

/**
 * The value that a column of this kind takes. Without it SQLite, which checks no types, would accept what
 * PostgreSQL refuses: a fraction in a whole-number column, NUL in a text.
 */
export function storedValue(kind: ColumnKind, value: Value): Value {
  if (value === null) return null;
  if (kind === 'text') return storableText(String(value));
  const number = Number(value);
  // The spill file's JSON has no NaN and no infinity. NOT NULL columns then refuse the row by name.
  if (!Number.isFinite(number)) return null;
  if (kind === 'real') return number + 0;
  const most = kind === 'int32' ? INT32_MAX : Number.MAX_SAFE_INTEGER;
  return Math.max(-most, Math.min(most, Math.round(number))) + 0;
}

/** PostgreSQL stores no NUL in a text. Filters need the same replacement to find what was stored. */
export function storableText(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\uFFFD') : text;
}

/** A number as text that sorts like the number: rows of one millisecond are ordered by id. */
export function sortable(number: number, digits: number): string {
  return number.toString(36).padStart(digits, '0');
}
