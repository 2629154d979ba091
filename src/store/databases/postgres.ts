import { Kysely } from 'kysely';
import type { Client } from 'pg';
import { ConnectionPool } from '../../pools/connection-pool.js';
import { Limiter } from '../../pools/limiter.js';
import type { Connector, NamedPool, PoolLimits } from '../../pools/pool.js';
import type { Schema } from '../schema.js';
import type { Backend, Work } from './backend.js';
import { isAway, isSchemaMissing, reasonOf, shownUrl } from './errors.js';
import { type StatementLimits, TransactionalDialect } from './postgres-dialect.js';
import { bringUpToDate } from './postgres-schema.js';

/** The type number of `bigint` in PostgreSQL (pg_type.dat: int8). */
const INT8 = 20;
const CONNECT_TIMEOUT_MS = 5000;

/** A list or a batch of rows takes milliseconds; what takes this long waits for something. */
const LIMITS: StatementLimits = { statementMs: 15_000, lockMs: 5000, idleMs: 30_000 };
/** A new index on a large table takes minutes; a lock is still not waited for. */
const MIGRATION_LIMITS: StatementLimits = { ...LIMITS, statementMs: 600_000 };
/** Connections that reads leave to the recorder and to retention. */
const KEPT_FROM_READS = 2;

export interface PostgresOptions {
  readonly url: string;
  readonly limits: PoolLimits;
  /** Schema of all our tables; it is created where it is missing. */
  readonly schema: string;
  /** The database was found empty while this server ran, and has its tables again. */
  readonly onRestored: () => void;
}

/** PostgreSQL behind a connection pool. */
export class PostgresDatabase implements Backend {
  readonly #options: PostgresOptions;
  readonly #database: Kysely<Schema>;
  readonly #migrations: Kysely<Schema>;
  readonly #pool: ConnectionPool<Client>;
  /** Reads that wait for a lock must not take the connections of writes. */
  readonly #reads: Limiter;
  /** Settles when the schema is up to date; undefined when that must be looked at again. */
  #schema: Promise<void> | undefined;
  #wasReady = false;

  private constructor(options: PostgresOptions, parts: Parts) {
    this.#options = options;
    this.#database = parts.database;
    this.#migrations = parts.migrations;
    this.#pool = parts.pool;
    const { max, waitMs } = options.limits;
    this.#reads = new Limiter('database reads', Math.max(1, max - KEPT_FROM_READS), waitMs);
  }

  /**
   * Connects and brings the schema up to date. A database that does not answer now is connected to later.
   *
   * @throws Error, naming the address without its password, if the database answers and cannot be used:
   * wrong credentials, no such database, a schema of another program or of a later version; or if the
   * address is invalid.
   */
  static async connect(options: PostgresOptions): Promise<PostgresDatabase> {
    const database = new PostgresDatabase(options, await openPostgres(options));
    const { url } = options;
    try {
      await database.#ready();
    } catch (error) {
      if (isAway(error) && URL.canParse(url)) return database;
      await database.close();
      // Without the cause: a driver's error may carry the whole address.
      throw new Error(`the database ${shownUrl(url)} cannot be used: ${reasonOf(error)}`);
    }
    return database;
  }

  get pools(): readonly NamedPool[] {
    return [this.#pool];
  }

  read<T>(work: Work<T>): Promise<T> {
    return this.#reads.run(() => this.write(work));
  }

  async write<T>(work: Work<T>): Promise<T> {
    await this.#ready();
    const schema = this.#schema;
    try {
      return await this.#database.transaction().execute(work);
    } catch (error) {
      if (!isSchemaMissing(error)) throw error;
      // Several may find it missing at once; the first one forgets it.
      if (this.#schema === schema) this.#schema = undefined;
      await this.#ready();
      return this.#database.transaction().execute(work);
    }
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  #ready(): Promise<void> {
    this.#schema ??= this.#prepare().catch((error: unknown) => {
      this.#schema = undefined;
      throw error;
    });
    return this.#schema;
  }

  async #prepare(): Promise<void> {
    const migrated = await bringUpToDate(this.#migrations, this.#options.schema);
    if (this.#wasReady && migrated > 0) this.#options.onRestored();
    this.#wasReady = true;
  }
}

interface Parts {
  readonly database: Kysely<Schema>;
  /** The same connections, with the limits of migrations. */
  readonly migrations: Kysely<Schema>;
  readonly pool: ConnectionPool<Client>;
}

/** Nothing is connected yet. */
export async function openPostgres({ url, limits, schema }: Omit<PostgresOptions, 'onRestored'>) {
  // Here and not above: a server without PostgreSQL does not pay for its driver.
  const { default: pg } = await import('pg');
  const types = {
    // Times and counts are below 2^53. As text, the driver's default, they would not compare.
    getTypeParser: (type: number, format?: 'text' | 'binary') =>
      type === INT8 && format !== 'binary' ? Number : pg.types.getTypeParser(type, format),
  };
  const options = { connectionString: url, types, connectionTimeoutMillis: CONNECT_TIMEOUT_MS };
  const unusable = new WeakSet<Client>();
  const spoil = (client: Client) => void unusable.add(client);
  const connector: Connector<Client> = {
    open: async () => {
      const client = new pg.Client(options);
      // Without a listener an 'error' event would end this process.
      client.on('error', () => spoil(client));
      client.on('end', () => spoil(client));
      await client.connect();
      return client;
    },
    close: (client) => client.end(),
    check: async (client) => {
      await client.query('select 1');
      return true;
    },
    isUsable: (client) => !unusable.has(client),
  };
  const pool = new ConnectionPool('database', limits, connector);
  const dialect = (of: StatementLimits) => new TransactionalDialect({ pool, spoil }, schema, of);
  return {
    database: new Kysely<Schema>({ dialect: dialect(LIMITS) }),
    migrations: new Kysely<Schema>({ dialect: dialect(MIGRATION_LIMITS) }),
    pool,
  };
}
