import { type Kysely, sql } from 'kysely';
import type { Schema } from '../schema.js';
import { MIGRATIONS } from './migrations.js';

/** Kysely's own table of migrations, in which earlier versions noted theirs. */
const TABLE = 'kysely_migration';

/**
 * Runs the missing migrations, in order. The caller's transaction keeps other servers out and takes
 * everything back when one fails. Kysely's migrator would lock the session instead, which pgbouncer gives to
 * somebody else.
 *
 * @returns how many ran.
 * @throws Error if a later version of this program has migrated the database.
 */
export async function migrate(transaction: Kysely<Schema>): Promise<number> {
  await transaction.schema
    .createTable(TABLE)
    .ifNotExists()
    .addColumn('name', 'varchar(255)', (column) => column.notNull().primaryKey())
    .addColumn('timestamp', 'varchar(255)', (column) => column.notNull())
    .execute();
  const { rows } = await sql<{ name: string }>`
    select name from ${sql.table(TABLE)} order by name`.execute(transaction);
  const done = rows.map(({ name }) => name);
  const later = done.find((name) => !Object.hasOwn(MIGRATIONS, name));
  if (later !== undefined) {
    throw new Error(`a later version of this program has migrated it (${later}): run that version`);
  }
  const missing = Object.entries(MIGRATIONS).filter(([name]) => !done.includes(name));
  for (const [name, { up }] of missing) {
    await up(transaction);
    await sql`insert into ${sql.table(TABLE)} (name, timestamp)
      values (${name}, ${new Date().toISOString()})`.execute(transaction);
  }
  return missing.length;
}
