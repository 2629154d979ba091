import { CompiledQuery, type Kysely, sql } from 'kysely';
import { type Row, TABLES, type TableName, type Value } from './rows.js';
import type { Schema } from './schema.js';

/**
 * Rows of one statement. Few sizes mean few different statements: a batch is split into them, the largest
 * first.
 */
const SIZES = [128, 32, 8, 1] as const;
const TABLE_NAMES: readonly TableName[] = Object.keys(TABLES).filter(
  (name): name is TableName => name in TABLES,
);

/** Groups of rows with shared values in one batch; further rows are written without sharing. */
const MAX_GROUPS = 8;

/** Inserts rows of any tables, many per statement; the text of a statement is built once. */
export class RowWriter {
  readonly #texts = new Map<string, string>();

  /** Rows that exist already change nothing (see {@link TABLES}): the same rows may be written again. */
  async write(transaction: Kysely<Schema>, rows: readonly Row[]): Promise<void> {
    for (const table of TABLE_NAMES) {
      const own = rows.filter((row) => row.table === table);
      if (own.length > 0) await this.#writeTable(transaction, table, own);
    }
  }

  async #writeTable(
    transaction: Kysely<Schema>,
    table: TableName,
    rows: readonly Row[],
  ): Promise<void> {
    const { columns, newest, shared } = TABLES[table];
    const all = columns.map((_, at) => at);
    const rest: Row[] = [];
    if (shared.length > 0) {
      const common = shared.map((column) => columns.indexOf(column));
      const own = all.filter((at) => !common.includes(at));
      for (const group of groupsOf(rows, common, rest)) {
        await this.#insert(transaction, { table, common, own }, group, rest);
      }
    }
    const left = shared.length > 0 ? rest : rows;
    const distinct = newest === undefined ? left : lastOfEach(left);
    await this.#insert(transaction, { table, common: [], own: all }, distinct);
  }

  /** @param rest if given, receives the rows that are too few for a statement. */
  async #insert(
    transaction: Kysely<Schema>,
    form: Form,
    rows: readonly Row[],
    rest?: Row[],
  ): Promise<void> {
    let done = 0;
    for (const size of SIZES) {
      if (rest !== undefined && size === 1) break;
      for (; rows.length - done >= size; done += size) {
        const values = valuesOf(form, rows.slice(done, done + size));
        await transaction.executeQuery(
          CompiledQuery.raw(this.#textFor(transaction, form, size), values),
        );
      }
    }
    rest?.push(...rows.slice(done));
  }

  #textFor(transaction: Kysely<Schema>, form: Form, size: number): string {
    const key = `${form.table} ${form.common.length} ${size}`;
    const known = this.#texts.get(key);
    if (known !== undefined) return known;
    const text = insertOf(form, size, transaction);
    this.#texts.set(key, text);
    return text;
  }
}

/** Which columns a statement takes once (common) and which for each row (own); by index. */
interface Form {
  readonly table: TableName;
  readonly common: readonly number[];
  readonly own: readonly number[];
}

/** The parameters of a statement, in order. */
function valuesOf({ common, own }: Form, rows: readonly Row[]): Value[] {
  const values: Value[] = [];
  for (const at of common) values.push(rows[0]?.values[at] ?? null);
  for (const row of rows) for (const at of own) values.push(row.values[at] ?? null);
  return values;
}

/** Groups rows with equal values in these columns; `rest` receives rows beyond the limit of groups. */
function groupsOf(
  rows: readonly Row[],
  common: readonly number[],
  rest: Row[],
): readonly (readonly Row[])[] {
  const groups: Row[][] = [];
  let last: Row[] | undefined;
  for (const row of rows) {
    // Most rows belong to the same group as the one before.
    if (last === undefined || !isAlike(last[0], row, common)) {
      last = groups.find(([first]) => isAlike(first, row, common));
      if (last === undefined) {
        if (groups.length === MAX_GROUPS) {
          rest.push(row);
          continue;
        }
        last = [];
        groups.push(last);
      }
    }
    last.push(row);
  }
  return groups;
}

function isAlike(one: Row | undefined, other: Row, columns: readonly number[]): boolean {
  for (const at of columns) if (one?.values[at] !== other.values[at]) return false;
  return true;
}

/** The last row of each id: PostgreSQL refuses to change a row twice in one statement. */
function lastOfEach(rows: readonly Row[]): readonly Row[] {
  const byId = new Map<Value | undefined, Row>();
  for (const row of rows) {
    // Re-inserted, so that rows stay in the order of their last change.
    byId.delete(row.values[0]);
    byId.set(row.values[0], row);
  }
  return byId.size === rows.length ? rows : [...byId.values()];
}

/** The text of a statement. Its parameters: the common values, then the own values row by row. */
function insertOf({ table, common, own }: Form, size: number, database: Kysely<Schema>): string {
  const { columns, newest } = TABLES[table];
  // A numbered parameter may be used several times: ?1 in SQLite, $1 in PostgreSQL.
  const mark = sql`${0}`.compile(database).sql.charAt(0);
  const places = columns.map((_, at) => common.indexOf(at));
  const rows = Array.from({ length: size }, (_, row) => {
    const first = common.length + row * own.length;
    const number = (at: number) =>
      1 + ((places[at] ?? -1) < 0 ? first + own.indexOf(at) : (places[at] ?? 0));
    return `(${columns.map((_, at) => `${mark}${number(at)}`).join(', ')})`;
  });
  const names = sql.join(columns.map((column) => sql.ref(column)));
  const statement = sql`insert into ${sql.table(table)} (${names}) values ${sql.raw(rows.join(', '))}
    on conflict (id) ${newest === undefined ? sql`do nothing` : update(table, columns, newest)}`;
  return statement.compile(database).sql;
}

function update(table: TableName, columns: readonly string[], newest: string) {
  const changes = columns
    .filter((column) => column !== 'id')
    .map((column) => sql`${sql.ref(column)} = ${sql.ref(`excluded.${column}`)}`);
  const [kept, offered] = [sql.ref(`${table}.${newest}`), sql.ref(`excluded.${newest}`)];
  return sql`do update set ${sql.join(changes)} where ${kept} <= ${offered}`;
}
