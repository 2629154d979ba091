import type { ReceiptQuery } from './http/services.js';
import { receiptToWire, sessionToWire } from './http/wire.js';
import type { Logger } from './log.js';
import type { Receipt } from './memory/receipt.js';
import type { RingReading } from './memory/ring.js';
import { MinuteOfReadings } from './minute-of-readings.js';
import type { SessionView } from './sessions/session.js';
import type { Store, StoredReading } from './store/store.js';

/** Receipts between two looks for rows over the limit. */
const PRUNE_EVERY = 100;

/**
 * Keeps sessions and receipts in the store, off the requests' path: writes follow one another in
 * the order of the events, and a store that fails is logged and never stops the server.
 */
export class Archive {
  readonly #store: Store;
  readonly #keep: number;
  readonly #log: Logger;
  #writes: Promise<void> = Promise.resolve();
  readonly #minute = new MinuteOfReadings();
  #sincePrune = 0;

  constructor(store: Store, keep: number, log: Logger) {
    this.#store = store;
    this.#keep = keep;
    this.#log = log;
  }

  keepSession(view: SessionView): void {
    const { id, state, maxUsers, users, requests, openedAtMs, endedAtMs } = view;
    const body = sessionToWire(view);
    const row = { id, state, maxUsers, users, requests, openedAtMs, endedAtMs, body };
    this.#write(() => this.#store.saveSession(row));
  }

  keepReceipt(receipt: Receipt): void {
    const { id, kind, session, startedAtMs } = receipt;
    const row = { id, kind, session, startedAtMs, body: receiptToWire(receipt) };
    this.#write(() => this.#store.saveReceipt(row));
    this.#sincePrune += 1;
    if (this.#sincePrune < PRUNE_EVERY) return;
    this.#sincePrune = 0;
    this.#write(async () => {
      await this.#store.prune(this.#keep);
    });
  }

  /** Keeps a regular reading, down-sampled to one row a minute. */
  keepReading(reading: RingReading): void {
    const row = this.#minute.add(reading);
    if (row !== undefined) this.#write(() => this.#store.saveReading(row));
  }

  /** Minutes of readings since a time, oldest first. */
  async readings(sinceMs: number, limit: number): Promise<readonly StoredReading[]> {
    await this.#writes;
    return this.#store.listReadings(sinceMs, limit);
  }

  /** Everything that was kept before is found. */
  async session(id: string): Promise<unknown> {
    await this.#writes;
    return this.#store.findSession(id);
  }

  async sessions(limit: number): Promise<readonly unknown[]> {
    await this.#writes;
    return this.#store.listSessions(limit);
  }

  async receipts(query: ReceiptQuery): Promise<readonly unknown[]> {
    await this.#writes;
    return this.#store.listReceipts(query);
  }

  async close(): Promise<void> {
    const rest = this.#minute.rest();
    if (rest !== undefined) this.#write(() => this.#store.saveReading(rest));
    await this.#writes;
    await this.#store.close();
  }

  #write(work: () => Promise<void>): void {
    this.#writes = this.#writes.then(work).catch((error: unknown) => {
      this.#log.error({ err: error }, 'the database did not take a record');
    });
  }
}
