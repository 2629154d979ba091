import { type Kysely, sql } from 'kysely';
import { messageOf, systemCodeOf } from '../../errors.js';
import { TABLES } from '../rows.js';
import { FURTHER_TABLES, type Schema } from '../schema.js';
import { migrate } from './migrate.js';
import { MIGRATIONS, OWN_SCHEMA } from './migrations.js';
import { lockMigrations } from './postgres-dialect.js';

/** As `server_version_num` writes it: 12.0. Older versions are no longer maintained. */
const OLDEST_VERSION = 120_000;
const MIGRATION_TABLES = ['kysely_migration', 'kysely_migration_lock'] as const;
const OUR_TABLES = [...Object.keys(TABLES), ...FURTHER_TABLES];

/**
 * Brings our schema up to date, in one transaction that other servers wait for:
 *
 * 1. A PostgreSQL that is too old is refused.
 * 2. Tables that an earlier version made in the user's default schema are moved into ours.
 * 3. The schema is created if it is missing.
 * 4. A schema that holds tables of another program is refused.
 * 5. The missing migrations run.
 * 6. A schema that lacks a table although its migrations have run is refused.
 *
 * @returns how many migrations ran.
 */
export function bringUpToDate(database: Kysely<Schema>, schema: string): Promise<number> {
  return database.transaction().execute(async (transaction) => {
    await checkVersion(transaction); // 1
    await lockMigrations(transaction);
    if (!(await tablesIn(transaction, schema)).includes('kysely_migration')) {
      const from = await schemaOfEarlierVersion(transaction, schema);
      if (from !== undefined) await moveTables(transaction, from, schema); // 2
    }
    await createSchema(transaction, schema); // 3
    await refuseForeignTables(transaction, schema); // 4
    const count = await migrate(transaction); // 5
    const found = await tablesIn(transaction, schema);
    const missing = OUR_TABLES.filter((table) => !found.includes(table));
    if (missing.length === 0) return count;
    const names = missing.join(', '); // 6
    throw new Error(
      `the schema "${schema}" lacks ${names}, which its migrations made: restore the table, or drop the schema to begin with an empty one`,
    );
  });
}

async function checkVersion(transaction: Kysely<Schema>): Promise<void> {
  const { rows } = await sql<{ server_version_num: string }>`show server_version_num`.execute(
    transaction,
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

async function tablesIn(transaction: Kysely<Schema>, schema: string): Promise<readonly string[]> {
  const { rows } = await sql<{ name: string }>`
    select c.relname as name from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${schema} and c.relkind in ('r', 'p', 'v', 'm', 'f')`.execute(transaction);
  return rows.map(({ name }) => name);
}

/** Names of the migrations that ran in a schema; undefined if its table is not one of Kysely's. */
async function migrationsIn(
  transaction: Kysely<Schema>,
  schema: string,
): Promise<readonly string[] | undefined> {
  const { rows: columns } = await sql<{ one: number }>`
    select 1 as one from information_schema.columns where table_schema = ${schema}
    and table_name = 'kysely_migration' and column_name in ('name', 'timestamp')`.execute(
    transaction,
  );
  if (columns.length !== 2) return undefined;
  const { rows } = await sql<{ name: string }>`
    select name from ${sql.id(schema, 'kysely_migration')} order by name`.execute(transaction);
  return rows.map(({ name }) => name);
}

function isOurs(migrations: readonly string[] | undefined): boolean {
  const [first] = Object.keys(MIGRATIONS);
  return first !== undefined && (migrations ?? []).includes(first);
}

/** The schema that version 0.1 made our tables in: of the user's search path, mostly `public`. */
async function schemaOfEarlierVersion(
  transaction: Kysely<Schema>,
  schema: string,
): Promise<string | undefined> {
  await sql`set local search_path to default`.execute(transaction);
  const { rows } = await sql<{ name: string }>`
    select unnest(current_schemas(false)) as name`.execute(transaction);
  await sql`set local search_path = ${sql.id(schema)}`.execute(transaction);
  for (const { name } of rows) {
    const migrations = await migrationsIn(transaction, name);
    if (name !== schema && isOurs(migrations) && !migrations?.includes(OWN_SCHEMA)) return name;
  }
  return undefined;
}

async function moveTables(transaction: Kysely<Schema>, from: string, to: string): Promise<void> {
  await createSchema(transaction, to);
  const found = await tablesIn(transaction, from);
  try {
    for (const table of [...OUR_TABLES, ...MIGRATION_TABLES]) {
      if (!found.includes(table)) continue;
      await sql`alter table ${sql.id(from, table)} set schema ${sql.id(to)}`.execute(transaction);
    }
  } catch (error) {
    const remedy = `let this user own them, or keep them there with database.schema=${from}`;
    const message = `the tables of an earlier version cannot be moved from "${from}" to "${to}": ${messageOf(error)}; ${remedy}`;
    throw Object.assign(new Error(message), { code: systemCodeOf(error) });
  }
}

async function createSchema(transaction: Kysely<Schema>, schema: string): Promise<void> {
  // Asked first: `create schema if not exists` needs the privilege even where it exists.
  const { rows } =
    await sql`select 1 from pg_catalog.pg_namespace where nspname = ${schema}`.execute(transaction);
  if (rows.length > 0) return;
  try {
    await sql`create schema ${sql.id(schema)}`.execute(transaction);
  } catch (error) {
    const message = `the schema "${schema}" cannot be created: ${messageOf(error)}; create it for this user, or name another one in database.schema`;
    throw Object.assign(new Error(message), { code: systemCodeOf(error) });
  }
}

async function refuseForeignTables(transaction: Kysely<Schema>, schema: string): Promise<void> {
  const found = await tablesIn(transaction, schema);
  const remedy = 'name a schema of its own in database.schema';
  if (found.includes('kysely_migration')) {
    const migrations = await migrationsIn(transaction, schema);
    if (isOurs(migrations) || migrations?.length === 0) return;
    const whose = migrations?.[0] === undefined ? '' : ` (${migrations[0]})`;
    throw new Error(
      `the schema "${schema}" holds migrations of another program${whose}: ${remedy}`,
    );
  }
  const foreign = OUR_TABLES.filter((table) => found.includes(table));
  if (foreign.length === 0) return;
  throw new Error(
    `the schema "${schema}" holds tables of another program (${foreign.join(', ')}): ${remedy}`,
  );
}
