import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { Kysely, Migrator, type SqliteDatabase, SqliteDialect } from 'kysely';
import Sqlite from 'libsql';
import { messageOf } from '../errors.js';
import type { NamedPool, PoolLimits } from '../pools/connection-pool.js';
import { openPostgres, shownUrl } from './postgres.js';
import { MIGRATIONS, prepareSqlite, type Schema } from './schema.js';

/** A session as it is kept; `body` is what the interface shows of it. */
export interface StoredSession {
  readonly id: string;
  readonly state: string;
  readonly maxUsers: number;
  readonly users: number;
  readonly requests: number;
  readonly openedAtMs: number;
  readonly endedAtMs: number | null;
  readonly body: unknown;
}

export interface StoredReceipt {
  readonly id: string;
  readonly kind: string;
  readonly session: string | null;
  readonly startedAtMs: number;
  readonly body: unknown;
}

export interface ReceiptFilter {
  readonly kind?: string | undefined;
  readonly session?: string | undefined;
  /** Milliseconds since 1970. */
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  readonly limit: number;
}

/** One minute of memory; sizes in bytes. */
export type StoredReading = Schema['readings'];

/** The database: sessions and receipts, also those of earlier runs. */
export class Store {
  readonly #database: Kysely<Schema>;
  /** The pools to the database's server; none with SQLite. */
  readonly pools: readonly NamedPool[];

  private constructor(database: Kysely<Schema>, pools: readonly NamedPool[] = []) {
    this.#database = database;
    this.pools = pools;
  }

  /**
   * Connects to PostgreSQL and brings its schema up to date; of several servers one does it.
   *
   * @throws Error, naming the address without its password, if it cannot be used: wrong address
   * or credentials, or a schema that this version does not know.
   */
  static async connect(url: string, limits: PoolLimits): Promise<Store> {
    const { database, pool } = await openPostgres(url, limits);
    try {
      await migrateToLatest(database);
    } catch (error) {
      await database.destroy();
      // Without the cause: a driver's error may carry the whole address.
      throw new Error(`the database ${shownUrl(url)} cannot be used: ${messageOf(error)}`);
    }
    return new Store(database, [pool]);
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
    // libsql has better-sqlite3's interface, which is what this dialect drives.
    const connection = new Sqlite(file);
    const dialect = new SqliteDialect({ database: connection satisfies SqliteDatabase });
    const database = new Kysely<Schema>({ dialect });
    try {
      await prepareSqlite(database);
      await migrate(database, connection);
    } catch (error) {
      connection.close();
      throw new Error(`the database ${file} cannot be used: ${messageOf(error)}`, { cause: error });
    }
    return new Store(database);
  }

  async close(): Promise<void> {
    await this.#database.destroy();
  }

  /** Keeps a session as it is now; an earlier state of it is overwritten. */
  async saveSession(session: StoredSession): Promise<void> {
    const row = {
      id: session.id,
      state: session.state,
      max_users: session.maxUsers,
      users: session.users,
      requests: session.requests,
      opened_at_ms: session.openedAtMs,
      ended_at_ms: session.endedAtMs,
      body: JSON.stringify(session.body),
    };
    const { id: _id, ...changes } = row;
    await this.#database
      .insertInto('sessions')
      .values(row)
      .onConflict((conflict) => conflict.column('id').doUpdateSet(changes))
      .execute();
  }

  async findSession(id: string): Promise<unknown> {
    const row = await this.#database
      .selectFrom('sessions')
      .select('body')
      .where('id', '=', id)
      .executeTakeFirst();
    return row === undefined ? undefined : JSON.parse(row.body);
  }

  /** The newest sessions, newest first. */
  async listSessions(limit: number): Promise<readonly unknown[]> {
    const rows = await this.#database
      .selectFrom('sessions')
      .select('body')
      .orderBy('opened_at_ms', 'desc')
      .limit(limit)
      .execute();
    return rows.map((row): unknown => JSON.parse(row.body));
  }

  async saveReceipt(receipt: StoredReceipt): Promise<void> {
    await this.#database
      .insertInto('receipts')
      .values({
        id: receipt.id,
        kind: receipt.kind,
        session: receipt.session,
        started_at_ms: receipt.startedAtMs,
        body: JSON.stringify(receipt.body),
      })
      .onConflict((conflict) => conflict.column('id').doNothing())
      .execute();
  }

  /** Receipts, newest first. */
  async listReceipts(filter: ReceiptFilter): Promise<readonly unknown[]> {
    let query = this.#database.selectFrom('receipts').select('body');
    if (filter.kind !== undefined) query = query.where('kind', '=', filter.kind);
    if (filter.session !== undefined) query = query.where('session', '=', filter.session);
    if (filter.sinceMs !== undefined) query = query.where('started_at_ms', '>=', filter.sinceMs);
    if (filter.untilMs !== undefined) query = query.where('started_at_ms', '<', filter.untilMs);
    const rows = await query
      .orderBy('started_at_ms', 'desc')
      .orderBy('id', 'desc')
      .limit(filter.limit)
      .execute();
    return rows.map((row): unknown => JSON.parse(row.body));
  }

  /** Keeps one minute's readings. */
  async saveReading(reading: StoredReading): Promise<void> {
    await this.#database
      .insertInto('readings')
      .values(reading)
      .onConflict((conflict) => conflict.column('at_ms').doNothing())
      .execute();
  }

  /** Minutes since a time, oldest first. */
  async listReadings(sinceMs: number, limit: number): Promise<readonly StoredReading[]> {
    return this.#database
      .selectFrom('readings')
      .selectAll()
      .where('at_ms', '>=', sinceMs)
      .orderBy('at_ms')
      .limit(limit)
      .execute();
  }

  /** Drops all but the newest receipts, sessions and minutes of readings. @returns how many rows went. */
  async prune(keep: number): Promise<number> {
    let dropped = 0;
    for (const [table, time] of [
      ['receipts', 'started_at_ms'],
      ['sessions', 'opened_at_ms'],
    ] as const) {
      const first = await this.#database
        .selectFrom(table)
        .select((row) => ['id', row.ref(time).as('at')])
        .orderBy(time, 'desc')
        .orderBy('id', 'desc')
        .offset(keep)
        .limit(1)
        .executeTakeFirst();
      if (first === undefined) continue;
      const { id, at } = first;
      const result = await this.#database
        .deleteFrom(table)
        .where((row) =>
          // Many rows may be of one millisecond: their ids decide then, as in the lists.
          row.or([
            row(row.ref(time), '<', at),
            row.and([row(row.ref(time), '=', at), row('id', '<=', id)]),
          ]),
        )
        .executeTakeFirst();
      dropped += Number(result.numDeletedRows);
    }
    return dropped + (await this.#pruneReadings(keep));
  }

  async #pruneReadings(keep: number): Promise<number> {
    const first = await this.#database
      .selectFrom('readings')
      .select('at_ms')
      .orderBy('at_ms', 'desc')
      .offset(keep)
      .limit(1)
      .executeTakeFirst();
    if (first === undefined) return 0;
    const result = await this.#database
      .deleteFrom('readings')
      .where('at_ms', '<=', first.at_ms)
      .executeTakeFirst();
    return Number(result.numDeletedRows);
  }
}

/**
 * Brings the schema up to date in one transaction: of several servers that start at once one does
 * it and the others wait, and a kill in between leaves nothing half done.
 */
async function migrate(database: Kysely<Schema>, connection: Sqlite.Database): Promise<void> {
  connection.exec('begin immediate');
  await migrateToLatest(database);
  connection.exec('commit');
}

/** With PostgreSQL the migrator holds an advisory lock meanwhile; with SQLite see {@link migrate}. */
async function migrateToLatest(database: Kysely<Schema>): Promise<void> {
  const migrator = new Migrator({
    db: database,
    provider: { getMigrations: async () => ({ ...MIGRATIONS }) },
  });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) throw error;
}
