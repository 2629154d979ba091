import { CompiledQuery, type Kysely, sql, type Transaction } from 'kysely';
import { type Row, TABLES, type TableName, type Value } from './rows.js';
import type { Schema } from './schema.js';

/**
 * Rows of one statement. Few sizes, so that few statements are ever made: a number of rows is put
 * together from them, the largest first.
 */
const SIZES = [128, 32, 8, 1] as const;
const TABLE_NAMES: readonly TableName[] = Object.keys(TABLES).filter(
  (name): name is TableName => name in TABLES,
);

/** Inserts rows of any tables: many with one statement, whose text is made once. */
export class RowWriter {
  readonly #database: Kysely<Schema>;
  readonly #texts = new Map<string, string>();

  constructor(database: Kysely<Schema>) {
    this.#database = database;
  }

  /**
   * Writes all of them or none. Rows that are there already change nothing (see {@link TABLES}): the
   * same rows may be written again.
   */
  async write(rows: readonly Row[]): Promise<void> {
    await this.#database.transaction().execute(async (transaction) => {
      for (const table of TABLE_NAMES) {
        const own = rows.filter((row) => row.table === table);
        const distinct = TABLES[table].newest === undefined ? own : lastOfEach(own);
        if (own.length > 0) await this.#insert(transaction, table, distinct);
      }
    });
  }

  async #insert(
    transaction: Transaction<Schema>,
    table: TableName,
    rows: readonly Row[],
  ): Promise<void> {
    let done = 0;
    for (const size of SIZES) {
      for (; rows.length - done >= size; done += size) {
        const values = rows.slice(done, done + size).flatMap((row) => row.values);
        await transaction.executeQuery(CompiledQuery.raw(this.#textFor(table, size), values));
      }
    }
  }

  #textFor(table: TableName, size: number): string {
    const key = `${table} ${size}`;
    const known = this.#texts.get(key);
    if (known !== undefined) return known;
    const text = insertOf(table, size).compile(this.#database).sql;
    this.#texts.set(key, text);
    return text;
  }
}

/** The last of the rows with one id: PostgreSQL refuses to change a row twice in one statement. */
function lastOfEach(rows: readonly Row[]): readonly Row[] {
  const byId = new Map<Value | undefined, Row>();
  for (const row of rows) {
    // Behind those that came since, so that rows stay in the order of their last change.
    byId.delete(row.values[0]);
    byId.set(row.values[0], row);
  }
  return byId.size === rows.length ? rows : [...byId.values()];
}

function insertOf(table: TableName, size: number) {
  const { columns, newest } = TABLES[table];
  const row = sql`(${sql.join(columns.map(() => null))})`;
  const names = sql.join(columns.map((column) => sql.ref(column)));
  const values = sql.join(Array.from({ length: size }, () => row));
  return sql`insert into ${sql.table(table)} (${names}) values ${values}
    on conflict (id) ${newest === undefined ? sql`do nothing` : update(table, columns, newest)}`;
}

function update(table: TableName, columns: readonly string[], newest: string) {
  const changes = columns
    .filter((column) => column !== 'id')
    .map((column) => sql`${sql.ref(column)} = ${sql.ref(`excluded.${column}`)}`);
  const [kept, offered] = [sql.ref(`${table}.${newest}`), sql.ref(`excluded.${newest}`)];
  return sql`do update set ${sql.join(changes)} where ${kept} <= ${offered}`;
}
