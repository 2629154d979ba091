import { type Kysely, type Migration, SqliteAdapter, sql } from 'kysely';

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

/** Tables without this migration are of version 0.1, which had no setting for their schema. */
export const OWN_SCHEMA = '0004_own_schema';

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
  '0003_records': {
    async up(database: Kysely<unknown>): Promise<void> {
      await nameServers(database);
      await rebuildReadings(database);
      await database.schema
        .createTable('session_users')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('session', 'text', (column) => column.notNull())
        .addColumn('user_hash', 'text', (column) => column.notNull())
        .addColumn('at_ms', 'bigint', (column) => column.notNull())
        .execute();
      await database.schema
        .createTable('events')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('at_ms', 'bigint', (column) => column.notNull())
        .addColumn('server', 'text', (column) => column.notNull())
        .addColumn('kind', 'text', (column) => column.notNull())
        .addColumn('text', 'text', (column) => column.notNull())
        .addColumn('session', 'text')
        .addColumn('model', 'text')
        .addColumn('worker', 'text')
        .execute();
      await createRecords(database);
      for (const [table, column] of [
        ['session_users', 'session'],
        ['session_users', 'at_ms'],
        ['events', 'at_ms'],
        ['records', 'at_ms'],
        ['records', 'session'],
      ] as const) {
        const name = `${table}_by_${column === 'at_ms' ? 'time' : column}`;
        await database.schema.createIndex(name).on(table).columns([column]).execute();
      }
    },
  },
  // Changes nothing: marks tables that are where database.schema says, and must never be moved again.
  [OWN_SCHEMA]: { async up(): Promise<void> {} },
  '0005_keys': { up: createKeys },
  '0006_fleet': {
    async up(database: Kysely<unknown>): Promise<void> {
      await database.schema
        .createTable('fleet_servers')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('run', 'text', (column) => column.notNull())
        .addColumn('told', 'text', (column) => column.notNull())
        .addColumn('seen_at_ms', 'bigint', (column) => column.notNull())
        .execute();
    },
  },
  '0007_jobs': { up: createJobs },
  '0008_lost_machines': {
    async up(database: Kysely<unknown>): Promise<void> {
      if (!(database.getExecutor().adapter instanceof SqliteAdapter)) return;
      await database.schema
        .alterTable('job_tasks')
        .addColumn('lost_machines', 'integer', (column) => column.notNull().defaultTo(0))
        .execute();
    },
  },
};

/**
 * Bulk jobs with their journals. Their tasks are here with SQLite alone: with PostgreSQL they are in tables of BullMQ, in a schema
 * of their own.
 */
async function createJobs(database: Kysely<unknown>): Promise<void> {
  await database.schema
    .createTable('jobs')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('request', 'text', (column) => column.notNull())
    .addColumn('created_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('entries', 'bigint', (column) => column.notNull().defaultTo(0))
    .addColumn('ended_at_ms', 'bigint')
    .addColumn('ended', 'text')
    .execute();
  for (const column of ['created_at_ms', 'ended_at_ms'] as const) {
    const name = column === 'created_at_ms' ? 'jobs_by_time' : 'jobs_by_end';
    await database.schema.createIndex(name).on('jobs').columns([column]).execute();
  }
  await database.schema
    .createTable('job_journal')
    .addColumn('job', 'text', (column) => column.notNull())
    .addColumn('place', 'bigint', (column) => column.notNull())
    .addColumn('entry', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('job_journal_pkey', ['job', 'place'])
    .execute();
  if (database.getExecutor().adapter instanceof SqliteAdapter) await createTasks(database);
}

async function createTasks(database: Kysely<unknown>): Promise<void> {
  await database.schema
    .createTable('job_tasks')
    .addColumn('lane', 'text', (column) => column.notNull())
    .addColumn('job', 'text', (column) => column.notNull())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('shard', 'integer', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('due_at_ms', 'bigint', (column) => column.notNull().defaultTo(0))
    .addColumn('failed_attempts', 'integer', (column) => column.notNull().defaultTo(0))
    .addColumn('reason', 'text')
    .addColumn('server', 'text')
    .addColumn('owner', 'text')
    .addColumn('lock_until_ms', 'bigint')
    .addPrimaryKeyConstraint('job_tasks_pkey', ['job', 'kind', 'shard'])
    .modifyEnd(sql`without rowid`)
    .execute();
  // Which task is next, and which run, without looking at the others.
  await database.schema
    .createIndex('job_tasks_by_turn')
    .on('job_tasks')
    .columns(['lane', 'state', 'due_at_ms', 'shard'])
    .execute();
}

/** The keys of callers. The row in `key_revision` counts changes, so that servers notice one by reading a number. */
async function createKeys(database: Kysely<unknown>): Promise<void> {
  await database.schema
    .createTable('api_keys')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('digest', 'text', (column) => column.notNull())
    .addColumn('scopes', 'text', (column) => column.notNull())
    .addColumn('requests_per_second', 'integer')
    .addColumn('inputs_per_minute', 'integer')
    .addColumn('created_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('expires_at_ms', 'bigint')
    .addColumn('revoked_at_ms', 'bigint')
    .addColumn('old_digest', 'text')
    .addColumn('old_until_ms', 'bigint')
    .execute();
  await database.schema
    .createTable('key_revision')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('revision', 'bigint', (column) => column.notNull())
    .execute();
  await sql`insert into key_revision (id, revision) values (1, 0)`.execute(database);
}

async function nameServers(database: Kysely<unknown>): Promise<void> {
  await database.schema
    .createTable('servers')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('started_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('seen_at_ms', 'bigint', (column) => column.notNull())
    .execute();
  await database.schema.alterTable('sessions').addColumn('server', 'text').execute();
  await database.schema
    .alterTable('sessions')
    .addColumn('revision', 'bigint', (column) => column.notNull().defaultTo(0))
    .execute();
  // Few sessions are open: finding them at start must not read all.
  await database.schema
    .createIndex('sessions_by_state')
    .on('sessions')
    .columns(['state'])
    .execute();
}

/** Minutes become each server's own. SQLite can change a primary key only by making a new table. */
async function rebuildReadings(database: Kysely<unknown>): Promise<void> {
  let table = database.schema
    .createTable('readings_of_servers')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('server', 'text', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull());
  for (const name of READING_COLUMNS) {
    table = table.addColumn(name, 'bigint', (column) => column.notNull());
  }
  await table.execute();
  const columns = sql.join(READING_COLUMNS.map((name) => sql.ref(name)));
  await sql`insert into readings_of_servers (id, server, at_ms, ${columns})
    select '.' || cast(at_ms as text), '', at_ms, ${columns} from readings`.execute(database);
  await database.schema.dropTable('readings').execute();
  await database.schema.alterTable('readings_of_servers').renameTo('readings').execute();
  await database.schema.createIndex('readings_by_time').on('readings').columns(['at_ms']).execute();
}

async function createRecords(database: Kysely<unknown>): Promise<void> {
  await database.schema
    .createTable('records')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('session', 'text', (column) => column.notNull())
    .addColumn('user_hash', 'text', (column) => column.notNull())
    .addColumn('model', 'text', (column) => column.notNull())
    .addColumn('input_hash', 'text', (column) => column.notNull())
    .addColumn('label', 'text', (column) => column.notNull())
    .addColumn('score', 'double precision', (column) => column.notNull())
    .addColumn('ms', 'double precision', (column) => column.notNull())
    .addColumn('tier', 'text')
    .addColumn('input', 'text')
    .execute();
}
