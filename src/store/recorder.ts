import { messageOf } from '../errors.js';
import { reasonOf } from './databases/errors.js';
import { bytesOf, type Classified, RowBuffer } from './row-buffer.js';
import { type Row, sizeOf } from './rows.js';
import type { SpillFile } from './spill-file.js';
import type { RefusedRow } from './store.js';

export interface RecorderOptions {
  /** Writes rows, all or none; written again they change nothing. @returns those it will never take */
  readonly write: (rows: readonly Row[]) => Promise<readonly RefusedRow[]>;
  readonly spill: SpillFile;
  /** Longest time that a row waits in memory before it is written. */
  readonly flushMs: number;
  /** Bytes of waiting rows in memory; more go into the file at once. */
  readonly maxBufferBytes: number;
  /** A database or a file that failed is tried again after this time. */
  readonly retryMs: number;
  /** The database, or the file, fails; empty: it takes rows again. Told once, not for every row. */
  readonly onState: (part: 'database' | 'file', reason: string) => void;
  /** Rows that nobody will ever find again. */
  readonly onLost: (count: number, reason: string) => void;
  /** Everything that waited when the recorder started is in the database. */
  readonly onCaughtUp: () => void;
}

export interface RecorderFigures {
  readonly bufferedRows: number;
  readonly spilledBytes: number;
  readonly written: number;
  readonly spilled: number;
  readonly lost: number;
}

/** Rows of one transaction; the last of several also takes the rest. */
export const BATCH_ROWS = 256;
/** Text of one transaction, in bytes of memory; a single row may have more. */
const BATCH_BYTES = 4 * 2 ** 20;
/** What is written into the file without a turn for others; an overflow is written in one piece. */
const SLICE_BYTES = 2 ** 20;
/** A database that takes longer than this for a batch is not waited for: rows go into the file. */
const SLOW_MS = 1000;
/** Longest time that a list waits for rows on their way through the file, and how much that may be. */
const SETTLE_MS = 1000;
const SETTLE_BYTES = 32 * 2 ** 20;
/** Longest time that an answer waits for room; see {@link Recorder.room}. */
const ROOM_MS = 5000;
const TELL_EVERY_MS = 10_000;

/**
 * Brings rows into the database in the order in which they came. No request waits for it, but see 7.
 *
 * 1. While the file holds rows, new ones go behind them, and batches from its front into the database.
 * 2. Otherwise rows go from memory into the database, in batches.
 * 3. A batch that fails goes into the file, with everything behind it. It is tried again later (1).
 * 4. So does a batch that takes long. It may be written twice, which changes nothing.
 * 5. So do rows that come faster than the database takes them, when memory is half full.
 * 6. A row for which memory has no room: everything in memory goes into the file first, in the same turn of
 *    the event loop.
 * 7. If the file fails too while the database takes rows, memory exceeds its limit by what the requests in
 *    flight bring, and their answers wait for room.
 * 8. If both fail, rows beyond the limit are lost, counted and told.
 */
export class Recorder {
  readonly #options: RecorderOptions;
  /** Rows that are in memory alone; rows that are being written stay until they are. */
  readonly #buffer = new RowBuffer();
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  /** Delay of the timer; infinite while there is none. */
  #timerMs = Number.POSITIVE_INFINITY;
  #pass: Promise<void> | undefined;
  #retryAtMs = 0;
  /** An overflow does not try a file again that failed just now: that would cost every row a try. */
  #fileRetryAtMs = 0;
  readonly #reasons = { database: '', file: '' };
  readonly #counts = { written: 0, spilled: 0, lost: 0 };
  readonly #waitingForRoom = new Set<() => void>();
  #untoldLost = 0;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #caughtUp = false;
  #closing: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /** Looks at once for rows that an earlier run has left. */
  start(): void {
    this.#flushSoon(0);
  }

  get figures(): RecorderFigures {
    const spilledBytes = this.#options.spill.waitingBytes;
    return { bufferedRows: this.#buffer.length, spilledBytes, ...this.#counts };
  }

  /** Why the database, and the file, take no rows now; empty if they do. */
  get reasons(): { readonly database: string; readonly file: string } {
    return this.#reasons;
  }

  /** Takes a row; never waits and never throws. */
  add(row: Row): void {
    if (!this.#makeRoom(sizeOf(row))) return;
    this.#buffer.push(row);
    this.#flushInTime();
  }

  /** Takes a classified input, which becomes a row when it is written; otherwise like {@link add}. */
  addClassified(classified: Classified): void {
    if (!this.#makeRoom(bytesOf(classified.input))) return;
    this.#buffer.pushClassified(classified);
    this.#flushInTime();
  }

  /**
   * Undefined while memory has room. Otherwise an answer should wait for this promise before it is given: it
   * resolves when the database has made room, when it fails, or after some seconds (7).
   */
  get room(): Promise<void> | undefined {
    if (this.#buffer.bytes <= this.#options.maxBufferBytes || this.#reasons.database !== '') {
      return undefined;
    }
    return new Promise((resolve) => {
      const go = () => {
        clearTimeout(timer);
        this.#waitingForRoom.delete(go);
        resolve();
      };
      const timer = setTimeout(go, ROOM_MS);
      this.#waitingForRoom.add(go);
    });
  }

  #makeRoom(bytes: number): boolean {
    if (this.#isClosed) return this.#refuse();
    const fits = () => this.#buffer.bytes + bytes <= this.#options.maxBufferBytes;
    if (fits()) return true;
    const isFileTried = performance.now() >= this.#fileRetryAtMs;
    if (isFileTried && this.#spillAtOnce(this.#buffer.length)) {
      void this.#sync(); // 6
      // A single row may be larger than the whole limit; the next one pushes it into the file.
      return true;
    }
    if (this.#reasons.database === '') return true; // 7
    return this.#refuse(); // 8
  }

  #refuse(): false {
    this.#counts.lost += 1;
    this.#untoldLost += 1;
    return false;
  }

  #flushInTime(): void {
    const { flushMs } = this.#options;
    if (this.#buffer.length === BATCH_ROWS || this.#isFilling) this.#flushSoon(0);
    // A timer that was set for no longer than this is early enough: the clock is not read for each row.
    else if (this.#timerMs > flushMs) this.#flushSoon(flushMs);
  }

  /**
   * Settles when all rows that came before are in the database. If it fails or is far behind, it settles
   * without: they will be written in their turn.
   */
  async settled(): Promise<void> {
    const untilMs = performance.now() + SETTLE_MS;
    // At least two passes: one that runs may have begun before the last row came.
    for (let pass = 0; !this.#isFailing; pass += 1) {
      const { waitingBytes } = this.#options.spill;
      if (waitingBytes === 0 && (this.#buffer.length === 0 || pass >= 2)) return;
      if (waitingBytes > SETTLE_BYTES || performance.now() >= untilMs) return;
      await this.#flush();
    }
  }

  /** Writes what waits, into the database or the file; takes no more rows. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#pass;
    // Twice: a failure of the first pass is told, which may add a row.
    for (let pass = 0; pass < 2 && this.#buffer.length > 0; pass += 1) await this.#flush();
    this.#isClosed = true;
    clearTimeout(this.#timer);
    if (this.#buffer.length > 0) this.#lose(this.#buffer.length, 'the server stopped');
    this.#tellOfLost();
    this.#tellRoom();
    await this.#options.spill.close();
  }

  get #isFailing(): boolean {
    return this.#reasons.database !== '' || performance.now() < this.#retryAtMs;
  }

  get #isFilling(): boolean {
    return this.#buffer.bytes > this.#options.maxBufferBytes / 2;
  }

  #flushSoon(ms: number): void {
    const atMs = performance.now() + ms;
    if (atMs >= this.#timerAtMs) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = atMs;
    this.#timerMs = ms;
    this.#timer = setTimeout(() => {
      this.#timerAtMs = Number.POSITIVE_INFINITY;
      this.#timerMs = Number.POSITIVE_INFINITY;
      void this.#flush();
    }, ms);
    this.#timer.unref();
  }

  #flush(): Promise<void> {
    this.#pass ??= this.#run().finally(() => {
      this.#pass = undefined;
      this.#tellOfLost();
      this.#tellRoom();
      if (this.#closing !== undefined) return;
      const { flushMs, retryMs, spill } = this.#options;
      if (this.#buffer.length > 0) this.#flushSoon(flushMs);
      else if (this.#reasons.database !== '') this.#flushSoon(retryMs);
      else if (spill.waitingBytes > 0) this.#flushSoon(flushMs);
    });
    return this.#pass;
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { spill } = this.#options;
    while (spill.waitingBytes > 0) {
      const isSafe = await this.#spillBuffer(); // 1
      // A server that stops leaves the file to the next start.
      if (performance.now() < this.#retryAtMs || (this.#closing !== undefined && isSafe)) return;
      if (!(await this.#replay())) return;
    }
    // Rows that come meanwhile are left to the next pass: they would become many small batches.
    for (let due = this.#buffer.length; due > 0; ) {
      if (performance.now() < this.#retryAtMs && this.#closing === undefined) {
        await this.#spillBuffer(); // 3
        return;
      }
      if (this.#isFilling && (await this.#spillBuffer())) return; // 5
      // The last batch takes what is left over: a transaction costs as much for few rows.
      const most = due < 2 * BATCH_ROWS ? due : BATCH_ROWS;
      const batch = this.#buffer.first(most, BATCH_BYTES); // 2
      if (!(await this.#write(batch))) {
        await this.#spillBuffer(); // 3
        return;
      }
      // Meanwhile everything in memory has gone into the file, this batch too (4, 6).
      if (spill.waitingBytes > 0) return;
      this.#buffer.drop(batch.length);
      this.#tellRoom();
      due -= batch.length;
    }
    if (this.#reasons.database !== '') return;
    // The database has everything: it does not matter now whether the file would take rows.
    this.#turn('file', '');
    if (this.#caughtUp) return;
    this.#caughtUp = true;
    this.#options.onCaughtUp();
  }

  /** One batch from the file into the database. @returns whether to go on */
  async #replay(): Promise<boolean> {
    const { spill } = this.#options;
    try {
      const batch = await spill.read(BATCH_ROWS);
      if (batch.rows.length > 0 && !(await this.#write(batch.rows))) return false;
      if (batch.damaged > 0) this.#lose(batch.damaged, 'lines of the spill file are damaged');
      spill.acknowledge(batch);
      return true;
    } catch (error) {
      this.#turn('file', messageOf(error));
      this.#retryAtMs = performance.now() + this.#options.retryMs;
      return false;
    }
  }

  /** @returns whether the database has them. Never rejects. */
  async #write(rows: readonly Row[]): Promise<boolean> {
    const attempt = this.#options.write(rows).then(
      (refused) => ({ refused, reason: '' }),
      (error: unknown) => ({ refused: [], reason: reasonOf(error) }),
    );
    let outcome = await within(attempt, SLOW_MS);
    while (outcome === undefined) {
      this.#turn('database', `it has not answered for ${SLOW_MS} ms`);
      const isSafe = await this.#spillBuffer(); // 4
      if (isSafe && this.#closing !== undefined) return false;
      outcome = await within(attempt, this.#options.flushMs);
    }
    this.#turn('database', outcome.reason);
    if (outcome.reason !== '') {
      this.#retryAtMs = performance.now() + this.#options.retryMs;
      return false;
    }
    this.#retryAtMs = 0;
    this.#counts.written += rows.length - outcome.refused.length;
    for (const { row, reason } of outcome.refused) {
      this.#lose(1, `the database refuses a row of ${row.table}: ${reason}`);
    }
    return true;
  }

  /** Everything in memory into the file, in slices. @returns whether it is on the disk. Never rejects. */
  async #spillBuffer(): Promise<boolean> {
    if (this.#buffer.length === 0) return true;
    for (let due = this.#buffer.length; due > 0 && this.#buffer.length > 0; ) {
      // An overflow may have emptied memory between two slices.
      const count = this.#buffer.count(Math.min(due, this.#buffer.length), SLICE_BYTES);
      if (!this.#spillAtOnce(count)) return false;
      due -= count;
      if (due > 0) await new Promise((resolve) => setImmediate(resolve));
    }
    return this.#sync();
  }

  /** The oldest rows into the file, without waiting for anything. @returns whether it took them */
  #spillAtOnce(count: number): boolean {
    if (count === 0) return true;
    try {
      this.#options.spill.append(this.#buffer.first(count));
    } catch (error) {
      this.#fail(error);
      return false;
    }
    this.#fileRetryAtMs = 0;
    this.#counts.spilled += count;
    this.#buffer.drop(count);
    this.#tellRoom();
    // Last: who is told may add a row.
    this.#turn('file', '');
    return true;
  }

  async #sync(): Promise<boolean> {
    try {
      await this.#options.spill.sync();
      return true;
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  #fail(error: unknown): void {
    this.#fileRetryAtMs = performance.now() + this.#options.retryMs;
    this.#turn('file', messageOf(error));
  }

  #turn(part: 'database' | 'file', reason: string): void {
    const before = this.#reasons[part];
    this.#reasons[part] = reason;
    if (part === 'database' && reason !== '') this.#tellRoom();
    if ((before === '') !== (reason === '')) this.#options.onState(part, reason);
  }

  #tellRoom(): void {
    const hasRoom = this.#buffer.bytes <= this.#options.maxBufferBytes;
    if (!hasRoom && this.#reasons.database === '' && !this.#isClosed) return;
    for (const go of [...this.#waitingForRoom]) go();
  }

  #lose(count: number, reason: string): void {
    this.#counts.lost += count;
    this.#options.onLost(count, reason);
  }

  /** Rows for which memory had no room: not with a line for every row. */
  #tellOfLost(): void {
    const now = performance.now();
    const isSoon = now - this.#toldAtMs < TELL_EVERY_MS && this.#closing === undefined;
    if (this.#untoldLost === 0 || isSoon) return;
    this.#options.onLost(this.#untoldLost, 'more wait in memory than records.max_buffer');
    this.#untoldLost = 0;
    this.#toldAtMs = now;
  }
}

/** The outcome of the work, or undefined if it takes longer. */
async function within<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  const outcome = await Promise.race([work, late]);
  clearTimeout(timer);
  return outcome;
}
