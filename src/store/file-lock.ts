import { chmodSync, closeSync, openSync } from 'node:fs';
import Sqlite from 'libsql';

const PRIVATE = 0o600;

/**
 * A lock that ends with its process, however that ends, and holds between containers that share the folder: it is
 * SQLite's on an empty file. A process number in a file could be another process's after a restart.
 */
export class FileLock {
  readonly #database: Sqlite.Database;

  private constructor(database: Sqlite.Database) {
    this.#database = database;
  }

  /**
   * Makes the file if it is missing.
   *
   * @returns undefined if another process holds the lock.
   * @throws Error if the file cannot be written.
   */
  static take(file: string): FileLock | undefined {
    closeSync(openSync(file, 'a', PRIVATE));
    // Earlier versions let the umask decide.
    if (process.platform !== 'win32') chmodSync(file, PRIVATE);
    const database = new Sqlite(file);
    try {
      database.exec('begin exclusive');
      return new FileLock(database);
    } catch (error) {
      database.close();
      if (/locked|busy/i.test(String(error))) return undefined;
      throw error;
    }
  }

  release(): void {
    this.#database.close();
  }
}
