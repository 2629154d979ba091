import type { Kysely } from 'kysely';
import type { Backend } from './databases/backend.js';
import { writeWhenFree } from './databases/when-free.js';
import type { KeySchema, Schema } from './schema.js';

export type StoredKey = KeySchema['api_keys'];

/** Every key, as of one revision. */
export interface StoredKeys {
  readonly revision: number;
  readonly keys: readonly StoredKey[];
}

/** Keys in the database, revoked ones too. More are refused: each server holds them all in memory. */
export const MAX_KEYS = 10_000;

/** The keys of callers in the database. Every method throws Error if the database does not answer. */
export class KeyTable {
  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** @returns every key; undefined if none has changed since that revision. */
  read(since?: number): Promise<StoredKeys | undefined> {
    return this.#backend.read(async (database) => {
      const tables = database.withTables<KeySchema>();
      // First the number: keys that are newer than it are read once more, older ones never stay.
      const { revision } = await tables
        .selectFrom('key_revision')
        .select('revision')
        .executeTakeFirstOrThrow();
      if (revision === since) return undefined;
      const keys = await tables.selectFrom('api_keys').selectAll().orderBy('name').execute();
      return { revision, keys };
    });
  }

  /** Takes the place of a revoked key of that name. @returns why it was not added; undefined if it was. */
  add(key: StoredKey): Promise<'exists' | 'full' | undefined> {
    return this.#change(async (tables) => {
      const { count } = await tables
        .selectFrom('api_keys')
        .select(({ fn }) => fn.countAll<number | string>().as('count'))
        .executeTakeFirstOrThrow();
      const gone = await tables
        .deleteFrom('api_keys')
        .where('name', '=', key.name)
        .where('revoked_at_ms', 'is not', null)
        .executeTakeFirst();
      if (Number(count) - Number(gone.numDeletedRows) >= MAX_KEYS) return 'full';
      const added = await tables
        .insertInto('api_keys')
        .values(key)
        .onConflict((conflict) => conflict.column('name').doNothing())
        .executeTakeFirst();
      return Number(added.numInsertedOrUpdatedRows) === 1 ? undefined : 'exists';
    });
  }

  /** @returns whether there was a key of that name that was not revoked. */
  revoke(name: string, atMs: number): Promise<boolean> {
    return this.#change(async (tables) => {
      const changed = await tables
        .updateTable('api_keys')
        .set({ revoked_at_ms: atMs, old_digest: null, old_until_ms: null })
        .where('name', '=', name)
        .where('revoked_at_ms', 'is', null)
        .executeTakeFirst();
      return Number(changed.numUpdatedRows) === 1;
    });
  }

  /** Gives a key another secret. @returns whether there was a key of that name that was not revoked. */
  rotate(name: string, digest: string, oldUntilMs: number | undefined): Promise<boolean> {
    return this.#change(async (tables) => {
      const old = oldUntilMs !== undefined;
      const changed = await tables
        .updateTable('api_keys')
        .set(({ ref }) => ({
          digest,
          old_digest: old ? ref('digest') : null,
          old_until_ms: oldUntilMs ?? null,
        }))
        .where('name', '=', name)
        .where('revoked_at_ms', 'is', null)
        .executeTakeFirst();
      return Number(changed.numUpdatedRows) === 1;
    });
  }

  /** One transaction with the next revision. Its row is changed first, which makes changes wait for one another. */
  async #change<T>(work: (tables: Kysely<Schema & KeySchema>) => Promise<T>): Promise<T> {
    return writeWhenFree(this.#backend, async (database) => {
      const tables = database.withTables<KeySchema>();
      await tables
        .updateTable('key_revision')
        .set(({ eb }) => ({ revision: eb('revision', '+', 1) }))
        .execute();
      return work(tables);
    });
  }
}
