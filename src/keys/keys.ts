import { readFileSync, statSync } from 'node:fs';
import { messageOf } from '../errors.js';
import type { KeyTable } from '../store/key-table.js';
import { digestOf, type Key, newSecret } from './key.js';
import { parseKeyFile } from './key-file.js';
import { KeySnapshot } from './key-snapshot.js';
import { Keyring } from './keyring.js';
import { keyOf } from './stored-keys.js';

/** How often the database and the file are looked at: a revoked key stops working within a second everywhere. */
const LOOK_EVERY_MS = 300;
/** A file of more than 10,000 keys with all their fields. */
const MAX_FILE_BYTES = 4 * 2 ** 20;

export interface KeysOptions {
  readonly table: KeyTable;
  /** Path of the file of keys; empty for none. */
  readonly file: string;
  /** Where the keys of the database are noted, for a start without it. */
  readonly snapshot?: string;
  readonly log: {
    readonly info: (facts: object, line: string) => void;
    readonly warn: (facts: object, line: string) => void;
  };
}

/**
 * The keys that hold on this server: those of the database and those of the file, each looked at three times a
 * second. A database that does not answer leaves the keys as they were; so does a file that cannot be read.
 */
export class Keys {
  readonly ring = new Keyring();
  /** A key of this run, by which the server asks itself, as its proofs do. */
  readonly own = newSecret();
  readonly #options: KeysOptions;
  readonly #snapshot: KeySnapshot | undefined;
  #stored: readonly Key[] = [];
  #revision: number | undefined;
  #written: readonly Key[] = [];
  #writtenAs = '';
  #known = false;
  #areOn = false;
  #databaseFailure = '';
  #fileFailure = '';
  #databaseTimer: NodeJS.Timeout | undefined;
  #fileTimer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: KeysOptions) {
    this.#options = options;
    const { snapshot } = options;
    this.#snapshot = snapshot === undefined ? undefined : new KeySnapshot(snapshot);
  }

  /**
   * Reads the keys, and goes on reading them.
   *
   * @throws Error if `keys.file` cannot be read or has a line that is no key.
   */
  async start(): Promise<void> {
    if (this.#options.file !== '') {
      this.#readFile();
      if (this.#fileFailure !== '') throw new Error(`keys.file: ${this.#fileFailure}`);
    }
    await this.#readDatabase();
    if (!this.#known) await this.#takeSnapshot();
    this.#watchDatabase();
    this.#watchFile();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#databaseTimer);
    clearInterval(this.#fileTimer);
  }

  /** Whether callers need a key: one was made, be it revoked since, or there is a file of them. */
  get areOn(): boolean {
    return this.#areOn;
  }

  /** Whether the keys of the database are known, at least as of an earlier time. */
  get areKnown(): boolean {
    return this.#known;
  }

  get list(): readonly Key[] {
    return [...this.#written, ...this.#stored];
  }

  /** Why changes of keys do not arrive; empty while they do. */
  get staleBecause(): string {
    return this.#databaseFailure || this.#fileFailure;
  }

  /** Reads the keys now: for who has just changed one. */
  async refresh(): Promise<void> {
    await this.#readDatabase();
  }

  #watchDatabase(): void {
    if (this.#stopped) return;
    this.#databaseTimer = setTimeout(() => {
      void this.#readDatabase().finally(() => this.#watchDatabase());
    }, LOOK_EVERY_MS);
    this.#databaseTimer.unref();
  }

  /** By a clock of its own: a database that hangs must not keep a key alive that was taken out of the file. */
  #watchFile(): void {
    if (this.#stopped || this.#options.file === '') return;
    this.#fileTimer = setInterval(() => this.#readFile(), LOOK_EVERY_MS).unref();
  }

  async #readDatabase(): Promise<void> {
    try {
      const read = await this.#options.table.read(this.#revision);
      this.#databaseFailure = '';
      if (read === undefined || this.#stopped) return;
      this.#revision = read.revision;
      this.#stored = read.keys.map(keyOf);
      this.#known = true;
      this.#changed();
      await this.#snapshot?.write(read.keys).catch((error: unknown) => {
        this.#options.log.warn(
          { reason: messageOf(error) },
          'the keys cannot be noted in the data folder',
        );
      });
    } catch (error) {
      if (this.#databaseFailure === '') {
        this.#options.log.warn(
          { reason: messageOf(error) },
          'the database does not answer: keys stay as they were',
        );
      }
      this.#databaseFailure = `the database does not answer, so changes of keys do not arrive: ${messageOf(error)}`;
    }
  }

  /** Keys as they were when the database last answered: a restart must not open the server. */
  async #takeSnapshot(): Promise<void> {
    const rows = await this.#snapshot?.read();
    if (rows === undefined) return;
    this.#stored = rows.map(keyOf);
    this.#known = true;
    this.#changed();
  }

  /** A changed file is another one: a mounted secret is replaced by renaming, which keeps no size and no time apart. */
  #readFile(): void {
    const { file, log } = this.#options;
    try {
      const { mtimeMs, ctimeMs, size, ino } = statSync(file);
      const as = `${mtimeMs} ${ctimeMs} ${size} ${ino}`;
      if (as === this.#writtenAs) return;
      if (size > MAX_FILE_BYTES) throw new Error(`${file} is larger than ${MAX_FILE_BYTES} bytes`);
      this.#written = parseKeyFile(readFileSync(file, 'utf8'));
      this.#writtenAs = as;
      this.#fileFailure = '';
      this.#changed();
      log.info({ keys: this.#written.length }, 'keys.file was read');
    } catch (error) {
      const failure = `${file}: ${messageOf(error)}`;
      if (failure !== this.#fileFailure && this.#writtenAs !== '') {
        log.warn({ reason: failure }, 'keys.file cannot be read: its keys stay as they were');
      }
      this.#fileFailure = failure;
    }
  }

  #changed(): void {
    // Once on, they stay on: whoever empties the database must not open the server.
    this.#areOn ||= this.#stored.length > 0 || this.#options.file !== '';
    // A name in both places is the file's: the other's secret, scopes and limits count for nothing.
    const stored = this.#stored.filter(({ name }) => !this.isOfFile(name));
    this.ring.replace([...stored, ...this.#written, ownKey(this.own)]);
  }

  /** Whether `keys.file` has a key of that name: nobody makes, changes or revokes one there but who edits it. */
  isOfFile(name: string): boolean {
    return this.#written.some((key) => key.name === name);
  }
}

function ownKey(secret: string): Key {
  return {
    name: 'plimsoll',
    digest: digestOf(secret),
    scopes: ['manage'],
    requestsPerSecond: undefined,
    inputsPerMinute: undefined,
    createdAtMs: undefined,
    expiresAtMs: undefined,
    revokedAtMs: undefined,
    old: undefined,
    from: 'file',
  };
}
