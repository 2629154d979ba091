import { Kysely, PostgresDialect, type PostgresPoolClient, sql } from 'kysely';
import type { Client } from 'pg';
import { messageOf, PlimsollError, systemCodeOf } from '../errors.js';
import { ConnectionPool, type Connector, type PoolLimits } from '../pools/connection-pool.js';
import type { Schema } from './schema.js';

/** The type number of `bigint` in PostgreSQL (pg_type.dat: int8). */
const INT8 = 20;
const CONNECT_TIMEOUT_MS = 5000;
/** A connection whose query takes longer is given up: a peer that is cut off sends nothing, ever. */
const QUERY_TIMEOUT_MS = 15_000;
/** As `server_version_num` writes it: 12.0. Nothing older gets repairs any more. */
const OLDEST_VERSION = 120_000;

export interface Postgres {
  readonly database: Kysely<Schema>;
  readonly pool: ConnectionPool<Client>;
}

/** A PostgreSQL database behind our own pool; nothing is connected yet. */
export async function openPostgres(url: string, limits: PoolLimits): Promise<Postgres> {
  // Here and not above: a server without PostgreSQL does not pay for its driver.
  const { default: pg } = await import('pg');
  const types = {
    // Times and counts are below 2^53; as text, which is pg's way, they would not compare.
    getTypeParser: (type: number, format?: 'text' | 'binary') =>
      type === INT8 && format !== 'binary' ? Number : pg.types.getTypeParser(type, format),
  };
  const options = { connectionString: url, types, connectionTimeoutMillis: CONNECT_TIMEOUT_MS };
  const pool = new ConnectionPool(
    'database',
    limits,
    connectorOf(() => new pg.Client(options)),
  );
  const dialect = new PostgresDialect({
    pool: {
      connect: () => checkOut(pool),
      end: () => pool.close(),
    },
  });
  return { database: new Kysely<Schema>({ dialect }), pool };
}

/** @throws Error if the server is older than what this program is written for. */
export async function checkVersion(database: Kysely<Schema>): Promise<void> {
  const { rows } = await sql<{ server_version_num: string }>`show server_version_num`.execute(
    database,
  );
  const refusal = refusalOfVersion(Number(rows[0]?.server_version_num));
  if (refusal !== '') throw new Error(refusal);
}

/** Why a version cannot be used; empty if it can. @param version such as 150004 for 15.4 */
export function refusalOfVersion(version: number): string {
  if (version >= OLDEST_VERSION) return '';
  const [is, oldest] = [version, OLDEST_VERSION].map((of) => Math.floor(of / 10_000));
  return `it is PostgreSQL ${is}, and ${oldest} is the oldest that can be used`;
}

function connectorOf(create: () => Client): Connector<Client> {
  const broken = new WeakSet<Client>();
  return {
    open: async () => {
      const client = create();
      // Without a listener a server that goes away would end this process.
      client.on('error', () => broken.add(client));
      client.on('end', () => broken.add(client));
      await client.connect();
      return client;
    },
    close: (client) => client.end(),
    check: async (client) => {
      await client.query('select 1');
      return true;
    },
    isUsable: (client) => !broken.has(client),
  };
}

/** A connection in the form that the dialect asks for. */
async function checkOut(pool: ConnectionPool<Client>): Promise<PostgresPoolClient> {
  const { connection, release } = await pool.acquire();
  const query = async (text: string, values: readonly unknown[]) => {
    // With a query under way this breaks the connection, which rejects the query.
    const timer = setTimeout(() => void connection.end(), QUERY_TIMEOUT_MS);
    try {
      return await connection.query(text, [...values]);
    } finally {
      clearTimeout(timer);
    }
  };
  return { query, release } as unknown as PostgresPoolClient;
}

const NETWORK_CODES: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EPIPE'],
  // A name may not be known yet while other containers are still starting.
  ...['ENOTFOUND', 'EAI_AGAIN', 'ENOENT'],
  // Starting or stopping; too many connections (PostgreSQL's errcodes.txt).
  ...['57P01', '57P02', '57P03', '53300'],
]);

/** Whether the server may only be away for now; what else it says it will say again. */
export function isAway(error: unknown): boolean {
  if (error instanceof PlimsollError) return error.code === 'POOL_EXHAUSTED';
  if (NETWORK_CODES.has(systemCodeOf(error) ?? '')) return true;
  return /timeout expired|connection terminated/i.test(messageOf(error));
}

/** What the driver says; one name with several addresses gives an error without words. */
export function reasonOf(error: unknown): string {
  return messageOf(error) || (systemCodeOf(error) ?? 'unknown');
}

/** Whether the rows themselves were refused, so that the same rows will be refused again. */
export function isAboutRows(error: unknown): boolean {
  // Classes 22 and 23: data exception, integrity violation; SQLite's names of the same.
  return /^(22|23)...$|^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG|RANGE)/.test(systemCodeOf(error) ?? '');
}

/** The address as it may be shown: without password and options. */
export function shownUrl(url: string): string {
  if (!URL.canParse(url)) return 'database.url';
  const { protocol, username, host, pathname } = new URL(url);
  return `${protocol}//${username === '' ? '' : `${username}:***@`}${host}${pathname}`;
}
