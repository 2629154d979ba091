import { readFile, rename, writeFile } from 'node:fs/promises';
import { isList, isNumber, isText, orNull, shapeOf } from '../contract/schema/shape.js';
import { systemCodeOf } from '../errors.js';
import type { StoredKey } from '../store/key-table.js';

/** A file that somebody has changed must neither stop the start nor make keys that never were. */
const isStoredKey = shapeOf<StoredKey>({
  ...{ name: isText, digest: isText, scopes: isText, created_at_ms: isNumber },
  ...{ requests_per_second: orNull(isNumber), inputs_per_minute: orNull(isNumber) },
  ...{ expires_at_ms: orNull(isNumber), revoked_at_ms: orNull(isNumber) },
  ...{ old_digest: orNull(isText), old_until_ms: orNull(isNumber) },
});
const areStoredKeys = isList(isStoredKey);

/**
 * The keys of the database as of the last time that it answered, in the data folder: a server that starts without
 * its database must neither let everybody in nor shut everybody out. It holds digests, and no secret.
 */
export class KeySnapshot {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** @returns undefined if there is none, or it cannot be read. */
  async read(): Promise<readonly StoredKey[] | undefined> {
    try {
      const rows: unknown = JSON.parse(await readFile(this.#file, 'utf8'));
      return areStoredKeys(rows) ? rows : undefined;
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
      throw error;
    }
  }

  /** Written beside and renamed: a kill leaves the old one or the new one. */
  async write(rows: readonly StoredKey[]): Promise<void> {
    const part = `${this.#file}.part`;
    await writeFile(part, JSON.stringify(rows), { mode: 0o600 });
    await rename(part, this.#file);
  }
}
