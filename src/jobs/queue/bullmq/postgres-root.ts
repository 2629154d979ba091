import { messageOf } from '../../../errors.js';
import type { BullRoot, WorkerSettings } from './bull-deliveries.js';

const CONNECT_LIMIT_MS = 5000;
const QUERY_LIMIT_MS = 15_000;
const CONNECTIONS = 4;

/** As BullMQ takes it: it becomes part of its statements. */
const SCHEMA = /^[A-Za-z_][A-Za-z0-9_$]{0,57}$/;

/** Schema of BullMQ’s tables: our own tables are in `database.schema`. @throws Error if `jobs.prefix` cannot be one */
export function schemaOf(prefix: string): string {
  if (!SCHEMA.test(prefix)) {
    throw new Error(
      `jobs.prefix is "${prefix}", which cannot be the name of a schema in PostgreSQL: letters, digits and underscores only, the first no digit`,
    );
  }
  return `${prefix}_jobs`;
}

/** BullMQ on PostgreSQL; its schema is made, or brought up to date. @throws Error if PostgreSQL does not answer. */
export async function postgresRoot(
  url: string,
  schema: string,
  settings: WorkerSettings,
): Promise<BullRoot> {
  const bull = await import('bullmq');
  const connection = {
    ...{ connectionString: url, schema, migrate: true, max: CONNECTIONS },
    ...{ connectionTimeoutMillis: CONNECT_LIMIT_MS, query_timeout: QUERY_LIMIT_MS },
  };
  const backend = bull.createPostgresBackend('steps', { ...settings, connection }, {});
  // Without a listener an 'error' event would end this process.
  backend.on('error', () => undefined);
  try {
    await backend.waitUntilReady();
  } catch (error) {
    await backend.close();
    if (!/unsupported startup parameter/.test(messageOf(error))) throw error;
    const remedy =
      'let database.url lead to PostgreSQL itself, add "options" to ignore_startup_parameters with pool_mode = session, or keep jobs in Redis (jobs.url)';
    throw new Error(`BullMQ cannot use a pgbouncer in transaction mode: ${remedy}`);
  }
  return { bull, backend, close: () => backend.close() };
}
