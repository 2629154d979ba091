import { readFile, rename, writeFile } from 'node:fs/promises';
import { systemCodeOf } from '../errors.js';
import type { StoredKey } from '../store/key-table.js';

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
      return Array.isArray(rows) && rows.every(isStoredKey) ? rows : undefined;
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

const TEXTS = ['name', 'digest', 'scopes'] as const;
const NUMBERS = ['created_at_ms'] as const;
const NUMBERS_OR_NULL = [
  ...['requests_per_second', 'inputs_per_minute', 'expires_at_ms', 'revoked_at_ms'],
  'old_until_ms',
];

/** A file that somebody has changed must neither stop the start nor make keys that never were. */
function isStoredKey(row: unknown): row is StoredKey {
  if (typeof row !== 'object' || row === null) return false;
  const fields = row as Readonly<Record<string, unknown>>;
  const are = (names: readonly string[], fits: (value: unknown) => boolean) =>
    names.every((name) => fits(fields[name]));
  const isNumber = (value: unknown) => Number.isFinite(value);
  const isText = (value: unknown) => typeof value === 'string';
  return (
    are(TEXTS, isText) &&
    are(NUMBERS, isNumber) &&
    are(NUMBERS_OR_NULL, (value) => value === null || isNumber(value)) &&
    are(['old_digest'], (value) => value === null || isText(value))
  );
}
