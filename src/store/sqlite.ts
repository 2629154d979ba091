import { Kysely, type SqliteDatabase, SqliteDialect, type SqliteStatement, sql } from 'kysely';
import Sqlite from 'libsql';
import type { Schema } from './schema.js';

/** Statements that stay prepared: every write and every list has one of few forms. */
const MAX_STATEMENTS = 64;
/** While the file is opened another server may be bringing its schema up to date. */
const OPENING_MS = 5000;
/** Later a wait would stop this whole process: the recorder comes again instead. */
const RUNNING_MS = 50;

export interface SqliteFile {
  readonly database: Kysely<Schema>;
  /** Does it in one transaction that keeps every other writer out. */
  readonly alone: (work: () => Promise<void>) => Promise<void>;
  /** To be called when the schema is as it should be. */
  readonly opened: () => Promise<void>;
}

/**
 * Opens a SQLite file with the settings of every connection: write-ahead log, and waiting instead of
 * failing.
 *
 * @throws Error if it is no database or cannot be written.
 */
export async function openSqlite(file: string): Promise<SqliteFile> {
  const connection = new Sqlite(file);
  const dialect = new SqliteDialect({ database: keepPrepared(connection) });
  const database = new Kysely<Schema>({ dialect });
  try {
    // First: the change of the journal is what several servers that start at once collide over.
    await sql`pragma busy_timeout = ${sql.lit(OPENING_MS)}`.execute(database);
    await sql`pragma journal_mode = wal`.execute(database);
    await sql`pragma synchronous = normal`.execute(database);
    // Its cache of pages (2 MB by default) would fill over the first thousand sessions and look like a leak.
    await sql`pragma cache_size = -256`.execute(database);
  } catch (error) {
    connection.close();
    throw error;
  }
  return {
    database,
    alone: async (work) => {
      connection.exec('begin immediate');
      await work();
      connection.exec('commit');
    },
    opened: async () => {
      await sql`pragma busy_timeout = ${sql.lit(RUNNING_MS)}`.execute(database);
    },
  };
}

/**
 * The connection in the form that the dialect drives (libsql has better-sqlite3's interface), with two
 * differences: a statement is prepared once and not for every execution, as each leaves memory behind
 * until a collection; and a transaction that SQLite itself has ended already (a full disk does that) is
 * not rolled back again, which would hide the reason.
 */
function keepPrepared(connection: Sqlite.Database): SqliteDatabase {
  const statements = new Map<string, SqliteStatement>();
  const prepare = (text: string): SqliteStatement => {
    const known = statements.get(text);
    if (known !== undefined) return known;
    const statement: SqliteStatement = connection.prepare(text);
    if (statements.size < MAX_STATEMENTS) statements.set(text, statement);
    return statement;
  };
  const nothing: SqliteStatement = {
    reader: false,
    all: () => [],
    run: () => ({ changes: 0, lastInsertRowid: 0 }),
    iterate: () => [][Symbol.iterator](),
  };
  return {
    close: () => {
      statements.clear();
      connection.close();
    },
    prepare: (text) => (text === 'rollback' && !connection.inTransaction ? nothing : prepare(text)),
  };
}
