import { chmodSync, closeSync, openSync, statSync } from 'node:fs';
import path from 'node:path';
import {
  type SqliteDatabase as Connection,
  Kysely,
  SqliteDialect,
  type SqliteStatement,
  sql,
} from 'kysely';
import Sqlite from 'libsql';
import { messageOf } from '../../errors.js';
import type { NamedPool } from '../../pools/pool.js';
import { makeDataFolder } from '../data-folder.js';
import { identityAt } from '../file-identity.js';
import type { Schema } from '../schema.js';
import type { Backend, Work } from './backend.js';
import { migrate } from './migrate.js';

/** Prepared statements that are kept: every write and every list has one of few forms. */
const MAX_STATEMENTS = 64;
/** Another server may be migrating the file while this one opens it. */
const OPENING_BUSY_MS = 5000;
/** Later a wait would block this whole process: the recorder tries again instead. */
const RUNNING_BUSY_MS = 50;
/** How often it is checked that the file is still there. */
const WATCH_MS = 2000;

export interface SqliteOptions {
  readonly dataFolder: string;
  /** The file was gone while this server ran, and was made anew. */
  readonly onRestored: () => void;
}

/** The SQLite file in the data folder. */
export class SqliteDatabase implements Backend {
  readonly pools: readonly NamedPool[] = [];
  readonly #options: SqliteOptions;
  readonly #path: string;
  #file: OpenFile | undefined;
  #opening: Promise<OpenFile> | undefined;
  #watch: NodeJS.Timeout | undefined;
  #goneBecause = '';
  #closed = false;

  private constructor(options: SqliteOptions) {
    this.#options = options;
    this.#path = path.join(options.dataFolder, 'plimsoll.db');
  }

  /**
   * Opens the file, or makes it, and brings its schema up to date.
   *
   * @throws Error, naming the file, if the folder cannot be written or the file is not a database.
   */
  static async open(options: SqliteOptions): Promise<SqliteDatabase> {
    const database = new SqliteDatabase(options);
    database.#file = await database.#open();
    database.#watch = setInterval(() => {
      // What fails here fails for the next write too, which tells.
      database.#current().catch(() => undefined);
    }, WATCH_MS).unref();
    return database;
  }

  get goneBecause(): string {
    return this.#goneBecause;
  }

  async read<T>(work: Work<T>): Promise<T> {
    return work((await this.#current()).database);
  }

  async write<T>(work: Work<T>): Promise<T> {
    return (await this.#current()).database.transaction().execute(work);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#watch);
    await this.#opening?.catch(() => undefined);
    await this.#file?.database.destroy();
    this.#file = undefined;
  }

  /** The open file; one that was deleted or replaced is closed, and what is at its path opened instead. */
  async #current(): Promise<OpenFile> {
    if (this.#opening !== undefined) return this.#opening;
    if (this.#file !== undefined && identityAt(this.#path) === this.#file.identity)
      return this.#file;
    if (this.#closed) throw new Error('the database is closed');
    this.#opening = this.#reopen().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #reopen(): Promise<OpenFile> {
    // Closed first: closing removes the write-ahead log by its path.
    this.#goneBecause = `the database ${this.#path} is gone, and is being made anew`;
    await this.#file?.database.destroy();
    this.#file = undefined;
    const file = await this.#open().catch((error: unknown) => {
      this.#goneBecause = messageOf(error);
      throw error;
    });
    this.#file = file;
    this.#goneBecause = '';
    this.#options.onRestored();
    return file;
  }

  async #open(): Promise<OpenFile> {
    try {
      makeDataFolder(this.#options.dataFolder);
      makePrivate(this.#path);
      return await openFile(this.#path);
    } catch (error) {
      const message = `the database ${this.#path} cannot be used: ${messageOf(error)}`;
      throw new Error(message, { cause: error });
    }
  }
}

interface OpenFile {
  readonly database: Kysely<Schema>;
  readonly identity: string;
}

/** SQLite gives its log and its index the mode of the database. */
function makePrivate(file: string): void {
  closeSync(openSync(file, 'a', 0o600));
  const { mode, uid } = statSync(file);
  if ((mode & 0o077) !== 0 && uid === process.getuid?.()) chmodSync(file, 0o600);
}

async function openFile(file: string): Promise<OpenFile> {
  const connection = new Sqlite(file);
  const dialect = new SqliteDialect({ database: keepPrepared(connection) });
  const database = new Kysely<Schema>({ dialect });
  try {
    // First: changing the journal mode is what several servers that start at once collide over.
    await sql`pragma busy_timeout = ${sql.lit(OPENING_BUSY_MS)}`.execute(database);
    await sql`pragma journal_mode = wal`.execute(database);
    await sql`pragma synchronous = normal`.execute(database);
    // The default page cache of 2 MB would fill over the first thousand sessions and look like a leak.
    await sql`pragma cache_size = -256`.execute(database);
    // One transaction: of several servers that start at once one migrates while the others wait, and a kill
    // leaves nothing half done.
    connection.exec('begin immediate');
    await migrate(database);
    connection.exec('commit');
    await sql`pragma busy_timeout = ${sql.lit(RUNNING_BUSY_MS)}`.execute(database);
    return { database, identity: identityAt(file) };
  } catch (error) {
    connection.close();
    throw error;
  }
}

/**
 * The connection in the form that Kysely's dialect drives (libsql has the interface of better-sqlite3), with
 * three differences. Statements are prepared once, not per execution, since each leaves memory behind until a
 * garbage collection. And a transaction that SQLite has rolled back itself, as on a full disk, is not rolled
 * back again: that error would hide the reason. And a transaction takes the lock of writers as it begins: one that
 * reads first could not write any more once another process has written.
 */
function keepPrepared(connection: Sqlite.Database): Connection {
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
    prepare: (text) => {
      if (text === 'begin') return prepare('begin immediate');
      return text === 'rollback' && !connection.inTransaction ? nothing : prepare(text);
    },
  };
}
