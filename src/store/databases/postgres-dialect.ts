import type { Kysely } from 'kysely';
import {
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  type PostgresCursor,
  PostgresDialect,
  PostgresDriver,
  type PostgresPool,
  type PostgresPoolClient,
  type PostgresQueryResult,
  sql,
  type TransactionSettings,
} from 'kysely';
import type { Client, QueryResult } from 'pg';
import { isOneOf } from '../../contract/schema/shape.js';
import type { ConnectionPool } from '../../pools/connection-pool.js';
import type { Schema } from '../schema.js';
import { isReadOnly, isSpoiled } from './errors.js';

/** Bounds of a transaction's statements, enforced by PostgreSQL; see `transactionStart`. */
export interface StatementLimits {
  readonly statementMs: number;
  readonly lockMs: number;
  /** Longest pause between two statements: a stopped server of ours must not hold its locks. */
  readonly idleMs: number;
}

/** PostgreSQL has cancelled the statement by then, unless the network is dead or the server stopped. */
const NETWORK_ALLOWANCE_MS = 2000;

/** A pooled connection; `spoil` marks one that must not be used again. */
export interface Connections {
  readonly pool: ConnectionPool<Client>;
  readonly spoil: (client: Client) => void;
}

/**
 * PostgreSQL with every setting inside the transaction. Nothing relies on the state of a session, so that
 * pgbouncer may give each transaction another server connection (`pool_mode = transaction`).
 */
export class TransactionalDialect extends PostgresDialect {
  readonly #pool: PostgresPool;
  readonly #begin: string;

  constructor(connections: Connections, schema: string, limits: StatementLimits) {
    const pool: PostgresPool = {
      connect: () => checkOut(connections, limits.statementMs + NETWORK_ALLOWANCE_MS),
      end: () => connections.pool.close(),
    };
    super({ pool });
    this.#pool = pool;
    this.#begin = transactionStart(schema, limits);
  }

  override createDriver(): Driver {
    return new LimitingDriver({ pool: this.#pool }, this.#begin);
  }
}

/**
 * The statements that begin a transaction, sent in one round trip. `SET LOCAL` ends with the transaction;
 * startup parameters would be rejected by pgbouncer, and `SET` would leak to its next client.
 */
function transactionStart(schema: string, limits: StatementLimits): string {
  return [
    'begin',
    `set local search_path = "${schema}"`,
    `set local statement_timeout = ${limits.statementMs}`,
    `set local lock_timeout = ${limits.lockMs}`,
    `set local idle_in_transaction_session_timeout = ${limits.idleMs}`,
  ].join('; ');
}

class LimitingDriver extends PostgresDriver {
  readonly #begin: string;

  constructor(config: ConstructorParameters<typeof PostgresDriver>[0], begin: string) {
    super(config);
    this.#begin = begin;
  }

  override async beginTransaction(
    connection: DatabaseConnection,
    _settings: TransactionSettings,
  ): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw(this.#begin));
  }
}

/** Kysely's lock id: servers of earlier versions take the same lock. */
const MIGRATION_LOCK = '3853314791062309107';

/** Waits until no other server migrates; held until the transaction ends. */
export async function lockMigrations(transaction: Kysely<Schema>): Promise<void> {
  await sql`select pg_advisory_xact_lock(${sql.raw(MIGRATION_LOCK)})`.execute(transaction);
}

/** A connection in the form that Kysely's driver asks for. */
async function checkOut(
  { pool, spoil }: Connections,
  replyLimitMs: number,
): Promise<PostgresPoolClient> {
  const { connection, release } = await pool.acquire();
  const run = async (text: string, values: readonly unknown[]) => {
    // While a query is running this destroys the socket, which rejects the query.
    const timer = setTimeout(() => void connection.end(), replyLimitMs);
    try {
      return await connection.query(text, [...values]);
    } catch (error) {
      if (isSpoiled(error)) spoil(connection);
      if (isReadOnly(error)) pool.replaceAll();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  };
  function query<R>(text: string, values: readonly unknown[]): Promise<PostgresQueryResult<R>>;
  function query<R>(cursor: PostgresCursor<R>): PostgresCursor<R>;
  function query<R>(
    what: string | PostgresCursor<R>,
    values: readonly unknown[] = [],
  ): Promise<PostgresQueryResult<R>> | PostgresCursor<R> {
    if (typeof what !== 'string') throw new Error('no cursor is used here');
    return run(what, values).then(resultOf<R>);
  }
  return { query, release };
}

const isCommand = isOneOf(['UPDATE', 'DELETE', 'INSERT', 'SELECT', 'MERGE']);

/**
 * What Kysely reads of a result. Several statements in one text (BEGIN and its settings) give a list of results, of which
 * nothing is read. The command says whether rows were changed: no other one than these changes any (SHOW, CREATE).
 */
function resultOf<R>(found: QueryResult | readonly QueryResult[]): PostgresQueryResult<R> {
  if (!('command' in found)) return { command: 'SELECT', rowCount: 0, rows: [] };
  const { command, rowCount, rows } = found;
  return { command: isCommand(command) ? command : 'SELECT', rowCount: rowCount ?? 0, rows };
}
