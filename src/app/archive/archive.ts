import { randomBytes } from 'node:crypto';
import type * as contract from '../../contract/receipts.js';
import type { ClassificationRecord, PastEvent } from '../../contract/records.js';
import type * as sessions from '../../contract/sessions.js';
import type { MinuteReading } from '../../contract/state/memory.js';
import { messageOf, PlimsollError } from '../../errors.js';
import type { RecordQuery } from '../../http/services.js';
import { isShownReceipt, type Receipt } from '../../memory/receipt.js';
import type { RingReading } from '../../memory/ring.js';
import type { Answered } from '../../sessions/service.js';
import type { SessionView } from '../../sessions/session.js';
import { shownSession, storedSession } from '../../sessions/shown.js';
import { DataSlot } from '../../store/data-slot.js';
import type { OpenSession, ReceiptFilter, StoreReader } from '../../store/reader.js';
import { BATCH_ROWS, Recorder } from '../../store/recorder.js';
import type { Classified } from '../../store/row-buffer.js';
import { type Row, rowOf, sortable, type TableName } from '../../store/rows.js';
import { shownEvent, shownMinute, shownRecord, shownUser } from '../../store/shown.js';
import { SpillFile } from '../../store/spill-file.js';
import type { Store } from '../../store/store.js';
import type { Logger } from '../log.js';
import { type Minute, MinuteOfReadings } from './minute-of-readings.js';
import {
  classifiedOf,
  eventRow,
  type NewEvent,
  receiptRow,
  sessionRow,
  UserHashes,
  userRow,
} from './rows.js';

export interface ArchiveOptions {
  readonly store: Store;
  readonly dataFolder: string;
  readonly flushMs: number;
  readonly retryMs: number;
  readonly maxBufferBytes: number;
  readonly maxSpillBytes: number;
  readonly keepText: boolean;
  /** Most rows of receipts, sessions, events and readings, each. */
  readonly keepReceipts: number;
  /** Most rows of classifications, and of users. */
  readonly keepRecords: number;
  readonly maxAgeMs: number;
  /** Key of the users' hashes. */
  readonly secret: string;
  readonly log: Logger;
}

/** Pruning counts all rows, so it runs once a minute. */
const PRUNE_AFTER_MS = 60_000;
/** Prune earlier after this share of the kept rows was written, but not for fewer than `PRUNE_LEAST`. */
const PRUNE_SHARE = 0.1;
const PRUNE_LEAST = 500;
/** Servers write what they know of a shared session within this time of one another, clocks that differ included. */
const WHOLE_WINS_WITHIN_MS = 60_000;

/**
 * Records what happens, off the requests' path: everything goes through one recorder, in the order of events. A
 * failing database never stops the server.
 */
export class Archive {
  readonly #options: ArchiveOptions;
  readonly #log: Logger;
  readonly #minute = new MinuteOfReadings();
  readonly #hashes: UserHashes;
  readonly #startedAtMs = Date.now();
  /** Prefix of row ids, unique to this start. */
  readonly #run = randomBytes(6).toString('base64url');
  #slot: DataSlot | undefined;
  #recorder: Recorder | undefined;
  #ids = 0;
  #lastRevision = 0;
  #sincePrune = 0;
  #prunedAtMs = performance.now();

  constructor(options: ArchiveOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#hashes = new UserHashes(options.secret);
  }

  /**
   * Takes this server's slot in the data folder, with records that an earlier run left there.
   *
   * @param onCaughtUp called when the database has all records of earlier runs.
   * @throws Error if the data folder is not writable.
   */
  async start(onCaughtUp: () => void): Promise<void> {
    const { dataFolder, maxSpillBytes, flushMs, retryMs, maxBufferBytes } = this.#options;
    const slot = DataSlot.take(dataFolder);
    this.#slot = slot;
    const spill = SpillFile.open(() => slot.spillFile, maxSpillBytes);
    this.#recorder = new Recorder({
      ...{ spill, flushMs, retryMs, maxBufferBytes, onCaughtUp },
      write: async (rows) => {
        const refused = await this.#options.store.write(rows);
        this.#pruneIfDue(rows.length);
        return refused;
      },
      onState: (part, reason) => this.#tellState(part, reason),
      onLost: (count, reason) => this.#log.error({ count, reason }, 'records are lost'),
    });
    this.#recorder.start();
    this.#keepHeartbeat();
    this.#options.store.whenRestored(() => {
      const text =
        'the database was empty or gone, and has its tables again: earlier records are missing';
      this.#log.warn(text);
      this.keepEvent({ kind: 'database_restored', text });
      // Without it our open sessions would look abandoned to other servers.
      this.#keepHeartbeat();
      this.#renewSlot();
    });
  }

  /** This server's name in the database. */
  get server(): string {
    return this.#slot?.server ?? '';
  }

  get figures() {
    const { database, file } = this.#recorder?.reasons ?? { database: '', file: '' };
    const none = { bufferedRows: 0, spilledBytes: 0, written: 0, spilled: 0, lost: 0 };
    // It is looked for every two seconds, also while there is nothing to write.
    const gone = database || this.#options.store.goneBecause;
    return { ...(this.#recorder?.figures ?? none), database: gone, file };
  }

  keepSession(view: SessionView): void {
    this.#add(sessionRow(shownSession(view), this.server, this.#nextRevision()));
  }

  /**
   * Keeps a session that servers share. Each of them does, and the last state that knows every part wins.
   *
   * @param by a server that has no part in it knows less, and gives way to one that has.
   */
  keepShared(session: sessions.SessionView, by: 'part' | 'bystander' = 'part'): void {
    const parts = session.fleet?.servers ?? [];
    const isWhole =
      session.state === 'ended' &&
      parts.every(({ state }) => state === 'ended' || state === 'lost');
    const aheadMs = by === 'part' ? WHOLE_WINS_WITHIN_MS : WHOLE_WINS_WITHIN_MS / 2;
    const revision = this.#nextRevision() + (isWhole ? aheadMs * 1000 : 0);
    this.#add(sessionRow(session, this.server, revision));
  }

  keepUser(session: string, user: string): void {
    this.#add(userRow(session, this.#hashes.of(user), Date.now()));
  }

  keepReceipt(receipt: Receipt): void {
    this.#add(receiptRow(receipt));
  }

  keepEvent(event: NewEvent): void {
    const row = eventRow(event, this.#nextId(), Date.now(), this.server);
    this.#add(row);
  }

  /** @returns what the answer should wait for, if memory has no room for more records. */
  keepAnswer(answered: Answered): Promise<void> | undefined {
    const { keepText } = this.#options;
    const userHash = this.#hashes.of(answered.answer.user);
    this.#ids += 1;
    const of = { run: this.#run, request: this.#ids, atMs: Date.now(), userHash, keepText };
    classifiedOf(answered, of, this.#addClassified);
    return this.#recorder?.room;
  }

  /** Records a regular reading, down-sampled to one row a minute. */
  keepReading(reading: RingReading): void {
    const minute = this.#minute.add(reading);
    if (minute === undefined) return;
    this.#keepMinute(minute);
    this.#keepHeartbeat();
  }

  /** Closes a session of a server that is gone; `body` is its public form. */
  keepClosed({ id, revision }: OpenSession, body: object, endedAtMs: number): void {
    const fields = body as Readonly<Record<string, unknown>>;
    this.#add(
      rowOf('sessions', {
        id,
        state: 'interrupted',
        max_users: Number(fields.max_users),
        users: Number(fields.users),
        requests: Number(fields.requests),
        opened_at_ms: Date.parse(String(fields.opened_at)),
        ended_at_ms: endedAtMs,
        body: JSON.stringify(body),
        server: this.server,
        // Only one higher: a later change that its own server brings in later still wins.
        revision: revision + 1,
      }),
    );
  }

  /** Minutes of readings since a time, oldest first. */
  async readings(sinceMs: number, limit: number): Promise<readonly MinuteReading[]> {
    const rows = await this.#read((reader) => reader.listReadings(this.server, sinceMs, limit));
    return rows.map(shownMinute);
  }

  /** Everything that was kept before is found, unless the database is away or behind. */
  async session(id: string): Promise<sessions.SessionView | undefined> {
    const body = await this.#read((reader) => reader.findSession(id));
    return body === undefined ? undefined : storedSession(body);
  }

  /** The newest first. */
  async sessions(limit: number): Promise<readonly sessions.SessionView[]> {
    const bodies = await this.#read((reader) => reader.listSessions(limit));
    return bodies.map(storedSession).filter((session) => session !== undefined);
  }

  /** In the order in which they came. */
  async users(session: string): Promise<sessions.SessionUsers['users']> {
    return (await this.#read((reader) => reader.listUsers(session))).map(shownUser);
  }

  /** The newest first. */
  async receipts(query: ReceiptFilter): Promise<readonly contract.Receipt[]> {
    const bodies = await this.#read((reader) => reader.listReceipts(query));
    return bodies.filter(isShownReceipt);
  }

  /** The newest first. */
  async pastEvents(query: ReceiptFilter): Promise<readonly PastEvent[]> {
    return (await this.#read((reader) => reader.listEvents(query))).map(shownEvent);
  }

  /** The newest first. */
  async records({ user, ...same }: RecordQuery): Promise<readonly ClassificationRecord[]> {
    const userHash = user === undefined ? undefined : this.#hashes.of(user);
    const rows = await this.#read((reader) => reader.listRecords({ ...same, userHash }));
    return rows.map(shownRecord);
  }

  /**
   * Takes over the slots of other servers of this data folder that are gone, and writes their waiting records.
   *
   * @returns the slots, to be removed when their sessions are closed.
   * @throws Error if the database refuses; the slots are then left to the next start.
   */
  async takeOver(): Promise<readonly DataSlot[]> {
    const slots = DataSlot.takeAbandoned(this.#options.dataFolder);
    try {
      for (const { spillFile } of slots) await this.#bringIn(spillFile);
      return slots;
    } catch (error) {
      for (const slot of slots) slot.release();
      throw error;
    }
  }

  /** Sessions that are open in the database although their server is gone. */
  async abandoned(servers: readonly string[], lastSeenBeforeMs: number, limit: number) {
    return this.#read((reader) => reader.findAbandoned(servers, lastSeenBeforeMs, limit));
  }

  /** Settles when what was recorded so far is written, or cannot be now; never rejects. */
  settled(): Promise<void> {
    return this.#recorder?.settled() ?? Promise.resolve();
  }

  /** Writes waiting records to the database, or to the file for the next start. */
  async close(): Promise<void> {
    const rest = this.#minute.rest();
    if (rest !== undefined) this.#keepMinute(rest);
    await this.#recorder?.close();
    this.#slot?.release();
    this.#slot = undefined;
    await this.#options.store.close();
  }

  async #read<T>(ask: (reader: StoreReader) => Promise<T>): Promise<T> {
    await this.#recorder?.settled();
    try {
      return await ask(this.#options.store.reader);
    } catch (error) {
      this.#log.debug({ err: error }, 'the database does not answer');
      const message = `the database does not answer: ${messageOf(error)}`;
      throw new PlimsollError('DATABASE_UNAVAILABLE', message, { retryAfterSeconds: 1 });
    }
  }

  async #bringIn(file: string): Promise<void> {
    const spill = SpillFile.open(file, this.#options.maxSpillBytes);
    try {
      while (spill.waitingBytes > 0) {
        const batch = await spill.read(BATCH_ROWS);
        const refused = await this.#options.store.write(batch.rows);
        const count = refused.length + batch.damaged;
        if (count > 0) this.#log.error({ count, file }, 'records are lost');
        spill.acknowledge(batch);
      }
    } finally {
      await spill.close();
    }
  }

  readonly #addClassified = (classified: Classified): void => {
    this.#recorder?.addClassified(classified);
  };

  #add(row: Row): void {
    this.#recorder?.add(row);
  }

  #pruneIfDue(written: number): void {
    this.#sincePrune += written;
    const now = performance.now();
    const isTime = now - this.#prunedAtMs >= PRUNE_AFTER_MS;
    const many = Math.max(PRUNE_LEAST, this.#options.keepRecords * PRUNE_SHARE);
    if (this.#sincePrune < many && !isTime) return;
    this.#sincePrune = 0;
    this.#prunedAtMs = now;
    void this.#prune();
  }

  async #prune(): Promise<void> {
    const { store, keepReceipts, keepRecords, maxAgeMs } = this.#options;
    const rows: Partial<Record<TableName, number>> = {};
    for (const table of ['receipts', 'sessions', 'readings', 'events'] as const) {
      rows[table] = keepReceipts;
    }
    for (const table of ['records', 'session_users'] as const) rows[table] = keepRecords;
    // A failure is retried at the next pruning.
    await store.prune({ rows, beforeMs: Date.now() - maxAgeMs }).catch((error: unknown) => {
      this.#log.debug({ err: error }, 'old records were not dropped');
    });
  }

  /** The whole data folder may have been deleted: our name in it must outlive this run. */
  #renewSlot(): void {
    try {
      this.#slot?.renew();
    } catch (error) {
      this.#log.warn(
        { reason: messageOf(error) },
        'the place in the data folder is not taken anew',
      );
    }
  }

  #keepMinute(minute: Minute): void {
    const { server } = this;
    this.#add(rowOf('readings', { ...minute, id: `${server}.${minute.at_ms}`, server }));
  }

  #keepHeartbeat(): void {
    const seen = { started_at_ms: this.#startedAtMs, seen_at_ms: Date.now() };
    this.#add(rowOf('servers', { id: this.server, ...seen }));
  }

  #nextId(): string {
    this.#ids += 1;
    return `${this.#run}.${sortable(this.#ids, 7)}`;
  }

  /** Increasing, also over restarts. */
  #nextRevision(): number {
    this.#lastRevision = Math.max(this.#lastRevision + 1, Date.now() * 1000);
    return this.#lastRevision;
  }

  #tellState(part: 'database' | 'file', reason: string): void {
    const words = {
      database: [
        'the database takes records again',
        'the database takes no records: they go into a file until it does',
      ],
      file: [
        'the file for records can be written again, or is not needed',
        'the file for records cannot be written: they wait in memory, and are lost beyond records.max_buffer',
      ],
    } as const;
    const [back, away] = words[part];
    if (reason === '') this.#log.info(back);
    else this.#log[part === 'file' ? 'error' : 'warn']({ reason }, away);
    if (part === 'database') {
      const kind = reason === '' ? 'database_back' : 'database_away';
      this.keepEvent({ kind, text: reason === '' ? back : `${away} (${reason})` });
    }
  }
}
