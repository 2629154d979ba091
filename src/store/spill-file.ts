import {
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  ftruncateSync,
  openSync,
  read,
  readSync,
  writeSync,
} from 'node:fs';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { identityAt, identityOfOpen } from './file-identity.js';
import { type Row, storedValue, TABLES, type TableName, type Value } from './rows.js';

const datasync = promisify(fdatasync);
const readAsync = promisify(read);

/** Read at once; a longer line is read in one piece as well. */
const READ_BYTES = 256 * 1024;
/** Characters that are encoded and written at once. */
const WRITE_CHARACTERS = 256 * 1024;
const NEWLINE = 10;

/** The rows of one read, and where the next read begins. */
export interface SpillBatch {
  readonly rows: readonly Row[];
  readonly endsAt: number;
  /** Lines that could not be read and were skipped. */
  readonly damaged: number;
  /** The file that was read: positions mean nothing in another one. */
  readonly file: string;
}

/**
 * Rows that wait for the database, in the order in which they came: one line each, `CRC-32 JSON`. Lines stay
 * in the file until all of them are read and acknowledged; then it is emptied.
 *
 * Appending is synchronous, so that rows for which memory has no room are in the file before the next row
 * comes. {@link sync} brings them to the disk.
 */
export class SpillFile {
  readonly #locate: () => string;
  readonly #maxBytes: number;
  #fd: number;
  #identity: string;
  /** End of the last complete line. Bytes behind it belong to a failed write and are overwritten. */
  #size: number;
  /** Lines before this are acknowledged. */
  #position = 0;
  #syncing: Promise<void> | undefined;
  /** Asynchronous operations in flight, and files that they may still use: a number is soon used again. */
  #inFlight = 0;
  #retired: number[] = [];

  private constructor(locate: () => string, maxBytes: number, fd: number) {
    this.#locate = locate;
    this.#maxBytes = maxBytes;
    this.#fd = fd;
    this.#identity = identityOfOpen(fd);
    this.#size = endOfLastLine(fd);
    ftruncateSync(fd, this.#size);
  }

  /**
   * Opens the file, or makes it. An incomplete last line was being written when its server died; nobody was
   * told that it is safe, and it is cut off.
   *
   * @param locate where the file should be; asked before each append, as somebody may have deleted its folder.
   * @throws Error if the file cannot be made or opened.
   */
  static open(locate: string | (() => string), maxBytes: number): SpillFile {
    const where = typeof locate === 'string' ? () => locate : locate;
    return new SpillFile(where, maxBytes, openFile(where()));
  }

  /** Bytes that are not acknowledged. */
  get waitingBytes(): number {
    return this.#size - this.#position;
  }

  /**
   * Adds rows at the end. When it returns, another process can read them; call {@link sync} to have them on
   * the disk.
   *
   * @throws Error if not all rows could be written (a full disk, the limit); then none of them counts.
   */
  append(rows: readonly Row[]): void {
    this.#moveIfGone();
    let end = this.#size;
    let text = '';
    try {
      for (const [index, row] of rows.entries()) {
        text += lineOf(row);
        if (text.length < WRITE_CHARACTERS && index < rows.length - 1) continue;
        const bytes = Buffer.from(text);
        if (end + bytes.length > this.#maxBytes) {
          throw new Error(`the file has its ${this.#maxBytes} bytes (records.max_spill)`);
        }
        writeAll(this.#fd, bytes, end);
        end += bytes.length;
        text = '';
      }
    } catch (error) {
      try {
        ftruncateSync(this.#fd, this.#size);
      } catch {
        // The next append overwrites it.
      }
      throw error;
    }
    this.#size = end;
  }

  /** Settles when all appended rows are on the disk. @throws Error if they are not. */
  sync(): Promise<void> {
    // A sync that runs already may have begun before the last append.
    const before = this.#syncing ?? Promise.resolve();
    const syncing = before.catch(() => undefined).then(() => this.#using(datasync));
    this.#syncing = syncing;
    return syncing;
  }

  /** The next rows, at most so many; the same again until {@link acknowledge}. */
  async read(most: number): Promise<SpillBatch> {
    const file = this.#identity;
    const rows: Row[] = [];
    let damaged = 0;
    let at = this.#position;
    for (let bytes = READ_BYTES; rows.length === 0 && at < this.#size; ) {
      const length = Math.min(bytes, this.#size - at);
      const from = at;
      const chunk = await this.#using((fd) => readAt(fd, from, length));
      if (file !== this.#identity) return { rows: [], endsAt: 0, damaged: 0, file };
      let begin = 0;
      while (rows.length < most) {
        const end = chunk.indexOf(NEWLINE, begin);
        if (end < 0) break;
        const row = rowIn(chunk.subarray(begin, end));
        if (row === undefined) damaged += 1;
        else rows.push(row);
        begin = end + 1;
      }
      at += begin;
      if (begin > 0) continue;
      // Not one complete line: a long text, or somebody has truncated the file.
      if (chunk.length < bytes) return { rows, endsAt: this.#size, damaged: damaged + 1, file };
      bytes *= 2;
    }
    return { rows, endsAt: at, damaged, file };
  }

  /** The rows of a read are in the database. */
  acknowledge({ endsAt, file }: SpillBatch): void {
    // Read from a file that was deleted meanwhile: its rows were copied and will be read again.
    if (file !== this.#identity) return;
    this.#position = Math.min(endsAt, this.#size);
    if (this.waitingBytes > 0) return;
    // In one turn: rows that are appended while a truncation runs would be lost.
    this.#position = 0;
    this.#size = 0;
    ftruncateSync(this.#fd, 0);
  }

  async close(): Promise<void> {
    await this.#syncing?.catch(() => undefined);
    for (const fd of [this.#fd, ...this.#retired]) closeSync(fd);
    this.#retired = [];
  }

  async #using<T>(work: (fd: number) => Promise<T>): Promise<T> {
    this.#inFlight += 1;
    try {
      return await work(this.#fd);
    } finally {
      this.#inFlight -= 1;
      if (this.#inFlight === 0) for (const fd of this.#retired.splice(0)) closeSync(fd);
    }
  }

  /** Somebody deleted the file, or the data folder: the rows that wait are copied from what is still open. */
  #moveIfGone(): void {
    const path = this.#locate();
    if (identityAt(path) === this.#identity) return;
    const fd = openFile(path);
    try {
      let end = endOfLastLine(fd);
      for (let from = this.#position; from < this.#size; from += READ_BYTES) {
        const bytes = readAllSync(this.#fd, from, Math.min(from + READ_BYTES, this.#size));
        writeAll(fd, bytes, end);
        end += bytes.length;
      }
      this.#retired.push(this.#fd);
      this.#fd = fd;
      this.#identity = identityOfOpen(fd);
      this.#position = 0;
      this.#size = end;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }
}

/** Texts of users may be in it. */
function openFile(path: string): number {
  return openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
}

function lineOf({ table, values }: Row): string {
  const json = JSON.stringify([table, ...values]);
  return `${checksumOf(json)} ${json}\n`;
}

/** The row of a line; undefined if the line is not as it was written. */
function rowIn(line: Buffer): Row | undefined {
  const text = line.toString('utf8');
  const json = text.slice(9);
  if (text.slice(0, 8) !== checksumOf(json)) return undefined;
  const [table, ...written] = JSON.parse(json) as [TableName, ...Value[]];
  if (!Object.hasOwn(TABLES, table)) return undefined;
  // An older version may have written fewer columns, and values that PostgreSQL refuses.
  const kinds = Object.values(TABLES[table].kinds);
  return { table, values: kinds.map((kind, at) => storedValue(kind, written[at] ?? null)) };
}

function checksumOf(json: string): string {
  return crc32(json).toString(16).padStart(8, '0');
}

function writeAll(fd: number, bytes: Buffer, position: number): void {
  // A disk that fills up accepts a part first and refuses the rest.
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}

async function readAt(fd: number, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await readAsync(fd, bytes, done, length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}

function readAllSync(fd: number, from: number, to: number): Buffer {
  const bytes = Buffer.allocUnsafe(to - from);
  let done = 0;
  while (done < bytes.length) {
    const count = readSync(fd, bytes, done, bytes.length - done, from + done);
    if (count === 0) break;
    done += count;
  }
  return bytes.subarray(0, done);
}

function endOfLastLine(fd: number): number {
  for (let end = fstatSync(fd).size; end > 0; ) {
    const begin = Math.max(0, end - READ_BYTES);
    const at = readAllSync(fd, begin, end).lastIndexOf(NEWLINE);
    if (at >= 0) return begin + at + 1;
    end = begin;
  }
  return 0;
}
