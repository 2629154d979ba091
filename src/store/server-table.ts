import { sql } from 'kysely';
import type { Backend } from './databases/backend.js';
import type { ServerSchema } from './schema.js';

/** What a server told, as JSON, and how long ago. */
export interface StoredServer {
  readonly told: string;
  readonly silentMs: number;
}

/** Milliseconds since 1970 by the clock of PostgreSQL: the servers' own clocks may differ. */
const NOW_MS = sql<number>`cast(extract(epoch from clock_timestamp()) * 1000 as bigint)`;

/**
 * What the servers of a PostgreSQL tell one another of themselves. Every method throws Error if the database does not answer. Not for
 * SQLite, which no other server reads.
 */
export class ServerTable {
  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** A sign of life. Forgets servers that are silent for longer than the limit, and earlier runs of the same one. */
  async put(id: string, told: string, forgottenAfterMs: number, earlier: string): Promise<void> {
    await this.#backend.write(async (database) => {
      const tables = database.withTables<ServerSchema>();
      await tables
        .deleteFrom('fleet_servers')
        .where((of) =>
          of.or([
            of('seen_at_ms', '<', sql<number>`${NOW_MS} - ${forgottenAfterMs}`),
            ...(earlier === '' ? [] : [of.and([of('run', '=', earlier), of('id', '!=', id)])]),
          ]),
        )
        .execute();
      const row = { id, run: id.slice(0, id.lastIndexOf('.') + 1), told, seen_at_ms: NOW_MS };
      await tables
        .insertInto('fleet_servers')
        .values(row)
        .onConflict((conflict) => conflict.column('id').doUpdateSet({ told, seen_at_ms: NOW_MS }))
        .execute();
    });
  }

  async list(): Promise<readonly StoredServer[]> {
    return this.#backend.read(async (database) => {
      const rows = await database
        .withTables<ServerSchema>()
        .selectFrom('fleet_servers')
        .select(['told', sql<string | number>`${NOW_MS} - seen_at_ms`.as('silent_ms')])
        .execute();
      return rows.map(({ told, silent_ms }) => ({ told, silentMs: Number(silent_ms) }));
    });
  }

  async remove(id: string): Promise<void> {
    await this.#backend.write(async (database) => {
      await database
        .withTables<ServerSchema>()
        .deleteFrom('fleet_servers')
        .where('id', '=', id)
        .execute();
    });
  }
}
