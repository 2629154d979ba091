import { Kysely, PostgresDialect, type PostgresPoolClient } from 'kysely';
import type { Client } from 'pg';
import { ConnectionPool, type Connector, type PoolLimits } from '../pools/connection-pool.js';
import type { Schema } from './schema.js';

/** The type number of `bigint` in PostgreSQL (pg_type.dat: int8). */
const INT8 = 20;
const CONNECT_TIMEOUT_MS = 5000;

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
  const query = connection.query.bind(connection);
  return { query, release } as PostgresPoolClient;
}

/** The address as it may be shown: without password and options. */
export function shownUrl(url: string): string {
  if (!URL.canParse(url)) return 'database.url';
  const { protocol, username, host, pathname } = new URL(url);
  return `${protocol}//${username === '' ? '' : `${username}:***@`}${host}${pathname}`;
}
