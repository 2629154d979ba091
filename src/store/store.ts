import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { type Kysely, Migrator } from 'kysely';
import { messageOf } from '../errors.js';
import type { NamedPool, PoolLimits } from '../pools/connection-pool.js';
import { MIGRATIONS } from './migrations.js';
import { checkVersion, isAboutRows, isAway, openPostgres, reasonOf, shownUrl } from './postgres.js';
import { StoreReader } from './reader.js';
import { type KeepLimits, Retention } from './retention.js';
import { RowWriter } from './row-writer.js';
import type { Row } from './rows.js';
import type { Schema } from './schema.js';
import { openSqlite } from './sqlite.js';

/** The database: what is written of this run and earlier ones, also by other servers. */
export class Store {
  readonly #database: Kysely<Schema>;
  readonly #writer: RowWriter;
  readonly #retention: Retention;
  readonly #reader: StoreReader;
  /** The pools to the database's server; none with SQLite. */
  readonly pools: readonly NamedPool[];
  /** Settles when the schema is up to date; undefined when it is not, and nobody is at it. */
  #schema: Promise<void> | undefined;

  private constructor(
    database: Kysely<Schema>,
    pools: readonly NamedPool[],
    schema?: Promise<void>,
  ) {
    this.#database = database;
    this.#writer = new RowWriter(database);
    this.#retention = new Retention(database);
    this.#reader = new StoreReader(database);
    this.pools = pools;
    this.#schema = schema;
  }

  /**
   * Connects to PostgreSQL and brings its schema up to date; of several servers one does it. Where it
   * does not answer now, that happens with the first access that it answers.
   *
   * @throws Error, naming the address without its password, if it answers and cannot be used: wrong
   * credentials, no such database, or a schema that this version does not know; or if the address is
   * none.
   */
  static async connect(url: string, limits: PoolLimits): Promise<Store> {
    const { database, pool } = await openPostgres(url, limits);
    const store = new Store(database, [pool]);
    try {
      await store.#ready();
    } catch (error) {
      if (isAway(error) && URL.canParse(url)) return store;
      await database.destroy();
      // Without the cause: a driver's error may carry the whole address.
      throw new Error(`the database ${shownUrl(url)} cannot be used: ${reasonOf(error)}`);
    }
    return store;
  }

  /**
   * Opens (and makes, if needed) the SQLite file in the data folder and brings its schema up to
   * date.
   *
   * @throws Error, naming the file, if the folder cannot be written or it is not a database.
   */
  static async open(dataDirectory: string): Promise<Store> {
    const file = path.join(dataDirectory, 'plimsoll.db');
    try {
      mkdirSync(dataDirectory, { recursive: true });
      return await Store.#openFile(file);
    } catch (error) {
      throw new Error(`the database ${file} cannot be used: ${messageOf(error)}`, { cause: error });
    }
  }

  static async #openFile(file: string): Promise<Store> {
    const { database, alone, opened } = await openSqlite(file);
    try {
      // In one transaction: of several servers that start at once one does it and the others wait, and
      // a kill in between leaves nothing half done.
      await alone(() => migrateToLatest(database));
      await opened();
    } catch (error) {
      await database.destroy();
      throw error;
    }
    return new Store(database, [], Promise.resolve());
  }

  async close(): Promise<void> {
    await this.#database.destroy();
  }

  /**
   * Writes rows of any tables, all or none; those that are there already change nothing.
   *
   * @returns those that the database will never take, each with its reason; the others are written.
   * @throws Error if it takes none now.
   */
  async write(rows: readonly Row[]): Promise<readonly RefusedRow[]> {
    await this.#ready();
    try {
      await this.#writer.write(rows);
      return [];
    } catch (error) {
      if (!isAboutRows(error)) throw error;
      const [row] = rows;
      if (row !== undefined && rows.length === 1) return [{ row, reason: reasonOf(error) }];
      // One bad row must not hold up all that follow it: halves, until it stands alone.
      const half = Math.ceil(rows.length / 2);
      const first = await this.write(rows.slice(0, half));
      return [...first, ...(await this.write(rows.slice(half)))];
    }
  }

  /**
   * The database for reading.
   *
   * @throws Error if it does not answer, or its schema could not be brought up to date yet.
   */
  async read(): Promise<StoreReader> {
    await this.#ready();
    return this.#reader;
  }

  /** Drops what is beyond the limits, a few rows at a time. @returns how many rows went. */
  async prune(limits: KeepLimits): Promise<number> {
    await this.#ready();
    return this.#retention.prune(limits);
  }

  #ready(): Promise<void> {
    // A SQLite file is up to date once it is open: this is PostgreSQL's way alone.
    this.#schema ??= this.#prepare().catch((error: unknown) => {
      this.#schema = undefined;
      throw error;
    });
    return this.#schema;
  }

  async #prepare(): Promise<void> {
    await checkVersion(this.#database);
    await migrateToLatest(this.#database);
  }
}

export interface RefusedRow {
  readonly row: Row;
  readonly reason: string;
}

/** With PostgreSQL the migrator holds an advisory lock meanwhile; SQLite is kept alone by its caller. */
async function migrateToLatest(database: Kysely<Schema>): Promise<void> {
  const migrator = new Migrator({
    db: database,
    provider: { getMigrations: async () => ({ ...MIGRATIONS }) },
  });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) throw error;
}
