import type { Kysely } from 'kysely';
import type { NamedPool } from '../../pools/pool.js';
import type { Schema } from '../schema.js';

export type Work<T> = (database: Kysely<Schema>) => Promise<T>;

/** A database whose schema is brought up to date before the first statement, and again when it was emptied. */
export interface Backend {
  /** Connection pools to the database's server; none with SQLite. */
  readonly pools: readonly NamedPool[];
  /** Why its file is missing; empty while it is there. A database at a server has none. */
  readonly goneBecause?: string;
  /**
   * Runs statements that change nothing.
   *
   * @throws Error if the database does not answer, or its schema cannot be brought up to date.
   */
  read<T>(work: Work<T>): Promise<T>;
  /** Runs statements in one transaction. @throws Error like {@link read}; nothing is changed then. */
  write<T>(work: Work<T>): Promise<T>;
  close(): Promise<void>;
}
