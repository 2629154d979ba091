import type { NamedPool, PoolLimits } from '../pools/pool.js';
import type { Backend } from './databases/backend.js';
import { isAboutRows, reasonOf } from './databases/errors.js';
import { PostgresDatabase } from './databases/postgres.js';
import { SqliteDatabase } from './databases/sqlite.js';
import { KeyTable } from './key-table.js';
import { StoreReader } from './reader.js';
import { type KeepLimits, Retention } from './retention.js';
import { RowWriter } from './row-writer.js';
import type { Row } from './rows.js';
import { ServerTable } from './server-table.js';

/** PostgreSQL's schema for our tables, unless the setting names another one. */
export const DEFAULT_SCHEMA = 'plimsoll';

/** The database: what this server and others have written, in this run and before. */
export class Store {
  readonly #backend: Backend;
  readonly #writer = new RowWriter();
  readonly #retention: Retention;
  readonly #reader: StoreReader;
  /** The keys of callers. */
  readonly keys: KeyTable;
  /** What servers tell one another; PostgreSQL only. */
  readonly servers: ServerTable;
  #onRestored: () => void = () => undefined;

  private constructor(backend: Backend) {
    this.#backend = backend;
    this.#retention = new Retention(backend);
    this.#reader = new StoreReader(backend);
    this.keys = new KeyTable(backend);
    this.servers = new ServerTable(backend);
  }

  /**
   * Connects to PostgreSQL. A database that does not answer now is brought up to date when it does.
   *
   * @throws Error if it answers and cannot be used; see {@link PostgresDatabase.connect}.
   */
  static async connect(url: string, limits: PoolLimits, schema = DEFAULT_SCHEMA): Promise<Store> {
    return Store.#over((onRestored) =>
      PostgresDatabase.connect({ url, limits, schema, onRestored }),
    );
  }

  /**
   * Opens the SQLite file in the data folder, or makes it.
   *
   * @throws Error, naming the file, if the folder cannot be written or it is not a database.
   */
  static async open(dataFolder: string): Promise<Store> {
    return Store.#over((onRestored) => SqliteDatabase.open({ dataFolder, onRestored }));
  }

  static async #over(open: (onRestored: () => void) => Promise<Backend>): Promise<Store> {
    let tell: () => void = () => undefined;
    const store = new Store(await open(() => tell()));
    tell = () => store.#onRestored();
    return store;
  }

  /** Calls the listener whenever the database was found empty, or gone, and was made anew. */
  whenRestored(listener: () => void): void {
    this.#onRestored = listener;
  }

  /** Why the file is missing, until it was made anew; empty while it is there. */
  get goneBecause(): string {
    return this.#backend.goneBecause ?? '';
  }

  /** The pools to the database's server; none with SQLite. */
  get pools(): readonly NamedPool[] {
    return this.#backend.pools;
  }

  /** For tables that their owners read and change themselves: those of jobs. */
  get database(): Backend {
    return this.#backend;
  }

  async close(): Promise<void> {
    await this.#backend.close();
  }

  /**
   * Writes rows of any tables, all or none. Rows that exist already change nothing.
   *
   * @returns rows that the database will never accept, each with its reason; all others are written.
   * @throws Error if it accepts none now.
   */
  async write(rows: readonly Row[]): Promise<readonly RefusedRow[]> {
    try {
      await this.#backend.write((transaction) => this.#writer.write(transaction, rows));
      return [];
    } catch (error) {
      if (!isAboutRows(error)) throw error;
      const [row] = rows;
      if (row !== undefined && rows.length === 1) return [{ row, reason: reasonOf(error) }];
      // One bad row must not hold up the others: halve until it stands alone.
      const half = Math.ceil(rows.length / 2);
      const first = await this.write(rows.slice(0, half));
      return [...first, ...(await this.write(rows.slice(half)))];
    }
  }

  /** Lists and look-ups. They throw if the database does not answer or its schema is not up to date. */
  get reader(): StoreReader {
    return this.#reader;
  }

  /** Deletes what is beyond the limits, a few rows at a time. @returns how many rows were deleted. */
  prune(limits: KeepLimits): Promise<number> {
    return this.#retention.prune(limits);
  }
}

export interface RefusedRow {
  readonly row: Row;
  readonly reason: string;
}
