import { type Kysely, type Migration, sql } from 'kysely';

/** Times are milliseconds since 1970; `body` columns hold JSON. */
export interface Schema {
  sessions: {
    id: string;
    state: string;
    max_users: number;
    users: number;
    requests: number;
    opened_at_ms: number;
    ended_at_ms: number | null;
    body: string;
  };
  receipts: {
    id: string;
    kind: string;
    session: string | null;
    started_at_ms: number;
    body: string;
  };
  /** One row a minute: the ring's readings, down-sampled. */
  readings: {
    at_ms: number;
    count: number;
    server_total_bytes: number;
    load_line_bytes: number;
    server_used_mean_bytes: number;
    server_used_max_bytes: number;
    private_mean_bytes: number;
    private_max_bytes: number;
    pss_mean_bytes: number;
    pss_max_bytes: number;
    pressure_max: number;
  };
}

const READING_COLUMNS = [
  'count',
  'server_total_bytes',
  'load_line_bytes',
  'server_used_mean_bytes',
  'server_used_max_bytes',
  'private_mean_bytes',
  'private_max_bytes',
  'pss_mean_bytes',
  'pss_max_bytes',
  'pressure_max',
] as const;

/** Every change of the schema, in order; one that has been released is never edited. */
export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001_sessions_and_receipts': {
    async up(database: Kysely<unknown>): Promise<void> {
      await database.schema
        .createTable('sessions')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('state', 'text', (column) => column.notNull())
        .addColumn('max_users', 'integer', (column) => column.notNull())
        .addColumn('users', 'integer', (column) => column.notNull())
        .addColumn('requests', 'bigint', (column) => column.notNull())
        .addColumn('opened_at_ms', 'bigint', (column) => column.notNull())
        .addColumn('ended_at_ms', 'bigint')
        .addColumn('body', 'text', (column) => column.notNull())
        .execute();
      await database.schema
        .createIndex('sessions_by_time')
        .on('sessions')
        .columns(['opened_at_ms'])
        .execute();
      await database.schema
        .createTable('receipts')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('kind', 'text', (column) => column.notNull())
        .addColumn('session', 'text')
        .addColumn('started_at_ms', 'bigint', (column) => column.notNull())
        .addColumn('body', 'text', (column) => column.notNull())
        .execute();
      await database.schema
        .createIndex('receipts_by_time')
        .on('receipts')
        .columns(['started_at_ms'])
        .execute();
      await database.schema
        .createIndex('receipts_by_session')
        .on('receipts')
        .columns(['session'])
        .execute();
    },
  },
  '0002_readings': {
    async up(database: Kysely<unknown>): Promise<void> {
      let table = database.schema
        .createTable('readings')
        .addColumn('at_ms', 'bigint', (column) => column.primaryKey());
      for (const name of READING_COLUMNS) {
        table = table.addColumn(name, 'bigint', (column) => column.notNull());
      }
      await table.execute();
    },
  },
};

/** Settings of every SQLite connection: write-ahead log, and waiting instead of failing. */
export async function prepareSqlite(database: Kysely<Schema>): Promise<void> {
  // First: the change of the journal is what several servers that start at once collide over.
  await sql`pragma busy_timeout = 5000`.execute(database);
  await sql`pragma journal_mode = wal`.execute(database);
  await sql`pragma synchronous = normal`.execute(database);
  // Its cache of pages (2 MB by default) would fill over the first thousand sessions and look like a leak.
  await sql`pragma cache_size = -256`.execute(database);
}
