import { messageOf } from '../errors.js';
import { reasonOf } from './databases/errors.js';
import { bytesOf, type Classified, RowBuffer } from './row-buffer.js';
import { type Row, sizeOf } from './rows.js';
import type { SpillBatch, SpillFile } from './spill-file.js';
import type { RefusedRow } from './store.js';

export interface RecorderOptions {
  /** Writes rows, all or none; written again they change nothing. @returns those that it will never take */
  readonly write: (rows: readonly Row[]) => Promise<readonly RefusedRow[]>;
  readonly spill: SpillFile;
  /** Longest that a row waits in memory before it is written. */
  readonly flushMs: number;
  /** Bytes of waiting rows in memory; more are lost. */
  readonly maxBufferBytes: number;
  /** Time after which a database that failed is tried again. */
  readonly retryMs: number;
  /** The database, or the file, fails; empty: it takes rows again. Told once, not for every row. */
  readonly onState: (part: 'database' | 'file', reason: string) => void;
  /** Rows that nobody will ever find again. */
  readonly onLost: (count: number, reason: string) => void;
  /** Nothing waits any more of what waited when the recorder began. */
  readonly onCaughtUp: () => void;
}

export interface RecorderFigures {
  readonly bufferedRows: number;
  readonly spilledBytes: number;
  readonly written: number;
  readonly spilled: number;
  readonly lost: number;
}

/** Rows of one transaction; the last of several takes what is left as well. */
export const BATCH_ROWS = 256;
/** A database that takes longer than this for a batch is not waited for: rows go into the file. */
const SLOW_MS = 1000;
const TELL_EVERY_MS = 10_000;

/**
 * Brings rows into the database, off everybody's path, in the order in which they came:
 *
 * 1. While the file holds rows, new ones go behind them, and batches from its front go into the database.
 * 2. Otherwise rows go from memory into the database, in batches.
 * 3. A batch that fails goes into the file, with all that follow it; it is tried again later (1).
 * 4. A batch that takes long goes into the file too: it may be written twice, which changes nothing.
 * 5. So do rows that come faster than the database takes them: at half of memory's bound.
 * 6. Where the file takes no rows either, they wait in memory, up to its bound; what is more is lost,
 *    counted and told.
 */
export class Recorder {
  readonly #options: RecorderOptions;
  /** Rows that are in nothing but memory; those that are being written stay in it until they are. */
  readonly #buffer = new RowBuffer();
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  /** Time that the timer was set for; infinite while there is none. */
  #timerMs = Number.POSITIVE_INFINITY;
  #pass: Promise<void> | undefined;
  #retryAtMs = 0;
  readonly #reasons = { database: '', file: '' };
  readonly #counts = { written: 0, spilled: 0, lost: 0 };
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
    if (!this.#hasRoom(sizeOf(row))) return;
    this.#buffer.push(row);
    this.#flushInTime();
  }

  /** Takes an input that was answered, which becomes a row when it is written; else like {@link add}. */
  addClassified(classified: Classified): void {
    if (!this.#hasRoom(bytesOf(classified.input))) return;
    this.#buffer.pushClassified(classified);
    this.#flushInTime();
  }

  #hasRoom(bytes: number): boolean {
    const isFull = this.#buffer.bytes + bytes > this.#options.maxBufferBytes;
    if (!isFull && !this.#isClosed) return true;
    this.#counts.lost += 1;
    this.#untoldLost += 1;
    return false;
  }

  #flushInTime(): void {
    const { flushMs } = this.#options;
    if (this.#buffer.length === BATCH_ROWS) this.#flushSoon(0);
    // A timer that was set for no longer than this comes early enough: no look at the clock for each row.
    else if (this.#timerMs > flushMs) this.#flushSoon(flushMs);
  }

  /**
   * Settles when all rows that came before are in the database; while it is away or behind, at once:
   * they come into it in their turn.
   */
  async settled(): Promise<void> {
    // Two passes: one may run that began before the last row came.
    for (let pass = 0; pass < 2 && this.#isDirect && this.#buffer.length > 0; pass += 1) {
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
    // Twice: what fails the first time is told, and that may be worth a row.
    for (let pass = 0; pass < 2 && this.#buffer.length > 0; pass += 1) await this.#flush();
    this.#isClosed = true;
    clearTimeout(this.#timer);
    if (this.#buffer.length > 0) this.#lose(this.#buffer.length, 'the server stopped');
    this.#tellOfLost();
    await this.#options.spill.close();
  }

  get #isDirect(): boolean {
    return this.#options.spill.waitingBytes === 0 && this.#reasons.database === '';
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
      if (this.#closing !== undefined) return;
      if (this.#buffer.length > 0) this.#flushSoon(this.#options.flushMs);
      else if (this.#reasons.database !== '') this.#flushSoon(this.#options.retryMs);
      else if (!this.#isDirect) this.#flushSoon(this.#options.flushMs);
    });
    return this.#pass;
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { spill } = this.#options;
    while (spill.waitingBytes > 0) {
      const isSafe = await this.#spillBuffer(); // 1
      // Whoever stops leaves the file to the next start.
      if (performance.now() < this.#retryAtMs || (this.#closing !== undefined && isSafe)) return;
      if (!(await this.#replay())) return;
    }
    // What comes meanwhile is for the next pass: it would become many small batches.
    for (let due = this.#buffer.length; due > 0; ) {
      if (performance.now() < this.#retryAtMs && this.#closing === undefined) {
        await this.#spillBuffer(); // 3
        return;
      }
      if (this.#isFilling && (await this.#spillBuffer())) return; // 5
      // What is over and no whole batch goes with the last one: a transaction costs as much for few rows.
      const batch = this.#buffer.first(due < 2 * BATCH_ROWS ? due : BATCH_ROWS); // 2
      if (!(await this.#write(batch))) {
        await this.#spillBuffer(); // 3
        return;
      }
      // A slow database has had the rows put into the file as well (4).
      if (spill.waitingBytes > 0) return;
      this.#buffer.drop(batch.length);
      due -= batch.length;
    }
    if (this.#reasons.database !== '') return;
    // The database takes what there is: it does not matter now whether the file would.
    this.#turn('file', '');
    if (this.#caughtUp) return;
    this.#caughtUp = true;
    this.#options.onCaughtUp();
  }

  /** One batch from the file into the database. @returns whether to go on */
  async #replay(): Promise<boolean> {
    const { spill } = this.#options;
    try {
      const batch: SpillBatch = await spill.read(BATCH_ROWS);
      if (batch.rows.length > 0 && !(await this.#write(batch.rows))) return false;
      if (batch.damaged > 0) this.#lose(batch.damaged, 'lines of the spill file are damaged');
      await spill.acknowledge(batch);
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

  /** All of memory behind what the file has. @returns whether nothing but the file has them now */
  async #spillBuffer(): Promise<boolean> {
    const count = this.#buffer.length;
    if (count === 0) return true;
    try {
      await this.#options.spill.append(this.#buffer.first(count));
    } catch (error) {
      this.#turn('file', messageOf(error)); // 6
      return false;
    }
    this.#turn('file', '');
    this.#counts.spilled += count;
    this.#buffer.drop(count);
    return true;
  }

  #turn(part: 'database' | 'file', reason: string): void {
    const before = this.#reasons[part];
    this.#reasons[part] = reason;
    if ((before === '') !== (reason === '')) this.#options.onState(part, reason);
  }

  #lose(count: number, reason: string): void {
    this.#counts.lost += count;
    this.#options.onLost(count, reason);
  }

  /** What the buffer had no room for: not with a line for every row. */
  #tellOfLost(): void {
    const now = performance.now();
    const isSoon = now - this.#toldAtMs < TELL_EVERY_MS && this.#closing === undefined;
    if (this.#untoldLost === 0 || isSoon) return;
    this.#options.onLost(this.#untoldLost, 'more wait in memory than records.max_buffer');
    this.#untoldLost = 0;
    this.#toldAtMs = now;
  }
}

/** What the work gives, or undefined if it takes longer. */
async function within<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  const outcome = await Promise.race([work, late]);
  clearTimeout(timer);
  return outcome;
}
