import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { type Row, storedValue, TABLES, type TableName, type Value } from './rows.js';

/** Read at once; a longer line gets as much more as it needs. */
const READ_BYTES = 256 * 1024;
/** Written at once. */
const WRITE_CHARACTERS = 256 * 1024;
const NEWLINE = 10;

/** What a read gave, and where the next one begins. */
export interface SpillBatch {
  readonly rows: readonly Row[];
  readonly endsAt: number;
  /** Lines that could not be read and were left out. */
  readonly damaged: number;
}

/**
 * Rows that wait for the database, in the order in which they came: one line each, `CRC-32 JSON`. What
 * has been written stays until all of it has been read and acknowledged; then the file is emptied.
 */
export class SpillFile {
  readonly #handle: FileHandle;
  readonly #maxBytes: number;
  /** Whole lines end here; what is behind it is left of a write that failed, and is written over. */
  #size: number;
  /** Up to here it has been acknowledged. */
  #position = 0;

  private constructor(handle: FileHandle, size: number, maxBytes: number) {
    this.#handle = handle;
    this.#size = size;
    this.#maxBytes = maxBytes;
  }

  /**
   * Opens the file, or makes it. A last line without an end was being written when its server died: it
   * was never acknowledged to anybody and is cut off.
   *
   * @throws Error if the file cannot be made or opened.
   */
  static async open(path: string, maxBytes: number): Promise<SpillFile> {
    // Texts of users may be in it.
    const handle = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    const { size } = await handle.stat();
    const whole = await endOfLastLine(handle, size);
    if (whole < size) await handle.truncate(whole);
    return new SpillFile(handle, whole, maxBytes);
  }

  /** Bytes that have not been acknowledged. */
  get waitingBytes(): number {
    return this.#size - this.#position;
  }

  /**
   * Adds rows behind all others; they are on the disk when this settles.
   *
   * @throws Error if they are not, or not all of them (a full disk, the limit); none of them counts then.
   */
  async append(rows: readonly Row[]): Promise<void> {
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
        await writeAll(this.#handle, bytes, end);
        end += bytes.length;
        text = '';
      }
      await this.#handle.datasync();
    } catch (error) {
      // If this fails as well, the next append writes over it.
      await this.#handle.truncate(this.#size).catch(() => undefined);
      throw error;
    }
    this.#size = end;
  }

  /** The next rows, at most so many; the same again until {@link acknowledge}. */
  async read(most: number): Promise<SpillBatch> {
    const rows: Row[] = [];
    let damaged = 0;
    let at = this.#position;
    for (let bytes = READ_BYTES; rows.length === 0 && at < this.#size; ) {
      const chunk = await readAt(this.#handle, at, Math.min(bytes, this.#size - at));
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
      // Not even one whole line: a long text, or the file has become shorter than it was.
      if (chunk.length < bytes) return { rows, endsAt: this.#size, damaged: damaged + 1 };
      bytes *= 2;
    }
    return { rows, endsAt: at, damaged };
  }

  /** What a read gave is done with. */
  async acknowledge({ endsAt }: SpillBatch): Promise<void> {
    this.#position = endsAt;
    if (this.waitingBytes > 0) return;
    this.#position = 0;
    this.#size = 0;
    await this.#handle.truncate(0);
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

function lineOf({ table, values }: Row): string {
  const json = JSON.stringify([table, ...values]);
  return `${checksumOf(json)} ${json}\n`;
}

/** The row of a line; undefined if it is not as it was written. */
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

async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  // A disk that becomes full takes a part first and refuses the rest.
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}

async function endOfLastLine(handle: FileHandle, size: number): Promise<number> {
  for (let end = size; end > 0; ) {
    const begin = Math.max(0, end - READ_BYTES);
    const at = (await readAt(handle, begin, end - begin)).lastIndexOf(NEWLINE);
    if (at >= 0) return begin + at + 1;
    end = begin;
  }
  return 0;
}
