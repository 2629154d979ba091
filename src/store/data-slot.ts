import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import Sqlite from 'libsql';
import { makeDataFolder } from './data-folder.js';
import { identityAt } from './file-identity.js';

/** Servers that may share a data folder. */
const MAX_SLOTS = 64;

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
    // Only a new one: to close any descriptor of a file gives up the locks that this process has on it.
    if (!existsSync(file)) closeSync(openSync(file, 'a', 0o600));
    // Earlier versions let the umask decide.
    if (process.platform !== 'win32') chmodSync(file, 0o600);
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

/**
 * One server's place in the data folder: its name, and the file of rows that wait for the database.
 */
export class DataSlot {
  /** The same after every start, as long as the folder exists. */
  readonly server: string;
  readonly #dataFolder: string;
  #taken: Taken;

  private constructor(dataFolder: string, taken: Taken) {
    this.#dataFolder = dataFolder;
    this.#taken = taken;
    this.server = nameIn(fileOf(taken, 'server'));
  }

  /**
   * Takes the first place that no running server holds.
   *
   * @throws Error if the folder cannot be written, or every place is taken.
   */
  static take(dataFolder: string): DataSlot {
    return new DataSlot(dataFolder, takeFirst(dataFolder));
  }

  /** Takes every place whose server is gone: the rows that wait there would wait for ever. */
  static takeAbandoned(dataFolder: string): readonly DataSlot[] {
    const folder = folderIn(dataFolder);
    return readdirSync(folder).flatMap((name) => {
      const [, number] = /^(\d+)\.server$/.exec(name) ?? [];
      const taken = number === undefined ? undefined : tryToTake(folder, Number(number));
      return taken === undefined ? [] : new DataSlot(dataFolder, taken);
    });
  }

  /** Path of the file of waiting rows, in a place that is {@link renew}ed first. @throws Error as {@link take}. */
  get spillFile(): string {
    this.renew();
    return fileOf(this.#taken, 'spill');
  }

  /**
   * If somebody has deleted the lock, or the whole folder, takes a place anew under the same name.
   *
   * @throws Error as {@link take}.
   */
  renew(): void {
    if (identityAt(fileOf(this.#taken, 'lock')) === this.#taken.identity) return;
    const taken = takeFirst(this.#dataFolder);
    this.#taken.lock.release();
    this.#taken = taken;
    writeFileSync(fileOf(taken, 'server'), this.server, { mode: 0o600 });
  }

  /** Leaves the place to the next start. */
  release(): void {
    this.#taken.lock.release();
  }

  /** Gives the place up: nothing is left in it. */
  remove(): void {
    for (const kind of ['server', 'spill'] as const) {
      rmSync(fileOf(this.#taken, kind), { force: true });
    }
    this.#taken.lock.release();
  }
}

/** A place that this process has locked. */
interface Taken {
  readonly folder: string;
  readonly number: number;
  readonly lock: FileLock;
  readonly identity: string;
}

function fileOf(
  { folder, number }: Pick<Taken, 'folder' | 'number'>,
  kind: 'lock' | 'server' | 'spill',
): string {
  return path.join(folder, `${number}.${kind}`);
}

function folderIn(dataFolder: string): string {
  makeDataFolder(dataFolder);
  const folder = path.join(dataFolder, 'records');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

function takeFirst(dataFolder: string): Taken {
  const folder = folderIn(dataFolder);
  for (let number = 1; number <= MAX_SLOTS; number += 1) {
    const taken = tryToTake(folder, number);
    if (taken !== undefined) return taken;
  }
  throw new Error(`${MAX_SLOTS} servers use the data folder ${dataFolder} already`);
}

function tryToTake(folder: string, number: number): Taken | undefined {
  const file = fileOf({ folder, number }, 'lock');
  const lock = FileLock.take(file);
  return lock && { folder, number, lock, identity: identityAt(file) };
}

function nameIn(file: string): string {
  try {
    const name = readFileSync(file, 'utf8').trim();
    if (name !== '') return name;
  } catch {
    // The place is new.
  }
  const name = randomBytes(9).toString('base64url');
  writeFileSync(file, name, { mode: 0o600 });
  return name;
}
