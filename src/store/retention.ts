import { sql } from 'kysely';
import type { Backend } from './databases/backend.js';
import { TABLES, type TableName } from './rows.js';

export interface KeepLimits {
  /** Maximum rows by table; the oldest are deleted. Tables without a number have no limit. */
  readonly rows: Readonly<Partial<Record<TableName, number>>>;
  /** Rows from before this time are deleted, in milliseconds since 1970; for all tables. */
  readonly beforeMs: number;
}

/** Rows of one DELETE: SQLite runs in this process and blocks it meanwhile. */
const STEP_ROWS = 200;
const PAUSE_MS = 20;

/** Deletes rows that are too old or too many. */
export class Retention {
  readonly #backend: Backend;
  #running: Promise<number> | undefined;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Runs once at a time. @returns how many rows were deleted. */
  prune(limits: KeepLimits): Promise<number> {
    this.#running ??= this.#prune(limits).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #prune({ rows, beforeMs }: KeepLimits): Promise<number> {
    let dropped = 0;
    for (const table of Object.keys(TABLES)) {
      if (!isTable(table)) continue;
      dropped += await this.#inSteps(Number.POSITIVE_INFINITY, (most) =>
        this.#dropOldest(table, most, beforeMs),
      );
      const keep = rows[table];
      if (keep === undefined) continue;
      const surplus = (await this.#count(table)) - keep;
      dropped += await this.#inSteps(surplus, (most) => this.#dropOldest(table, most));
    }
    return dropped;
  }

  async #inSteps(count: number, drop: (most: number) => Promise<number>): Promise<number> {
    let dropped = 0;
    while (dropped < count) {
      const most = Math.min(STEP_ROWS, count - dropped);
      const gone = await drop(most);
      dropped += gone;
      if (gone < most) break;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    return dropped;
  }

  async #count(table: TableName): Promise<number> {
    const query = sql<{ count: number }>`select count(*) as count from ${sql.table(table)}`;
    const { rows } = await this.#backend.read((database) => query.execute(database));
    return rows[0]?.count ?? 0;
  }

  /** Rows of the same millisecond are ordered by id, as in the lists. */
  async #dropOldest(table: TableName, most: number, beforeMs?: number): Promise<number> {
    const time = sql.ref(TABLES[table].time);
    const old = beforeMs === undefined ? sql`` : sql`where ${time} < ${beforeMs}`;
    const query = sql`
      delete from ${sql.table(table)} where id in (
        select id from ${sql.table(table)} ${old} order by ${time}, id limit ${most})`;
    const { numAffectedRows } = await this.#backend.write((transaction) =>
      query.execute(transaction),
    );
    return Number(numAffectedRows ?? 0);
  }
}

function isTable(name: string): name is TableName {
  return Object.hasOwn(TABLES, name);
}
