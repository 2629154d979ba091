import { api } from './api.js';
import { type Connection, EventStream } from './event-stream.js';
import { History } from './history.js';
import { keepKey } from './key.js';
import { Marks } from './marks.js';
import type { Mark, SessionView, State } from './wire.js';

/** Past sessions that the page keeps. */
const MAX_PAST = 60;
const HISTORY_MS = 30 * 60_000;
const DAY_MS = 24 * 3_600_000;
const MAX_RECEIPTS = '150';
const MAX_LOADS = '60';

/**
 * Everything that the page knows of the server, kept up to date. Subscribers are told of changes at
 * most once a frame, however many events arrive.
 */
export class LiveData {
  readonly history = new History();
  readonly marks = new Marks();
  state: State | undefined;
  connection: Connection = { state: 'connecting' };
  past: readonly SessionView[] = [];
  /** Version of the server that delivered this page. */
  #version: string | undefined;
  /** States that arrived while the history before them is being fetched; undefined otherwise. */
  #pending: State[] | undefined;
  #isCaughtUp = false;
  readonly #listeners = new Set<() => void>();
  #isScheduled = false;

  readonly #stream: EventStream;

  constructor() {
    this.#stream = new EventStream({
      onState: (state) => this.#onState(state),
      onMark: (mark) => this.#onMark(mark),
      onConnection: (connection) => this.#onConnection(connection),
    });
  }

  /** The server was replaced by another version after this page was loaded. */
  get isOutdated(): boolean {
    return this.state !== undefined && this.state.version !== this.#version;
  }

  /** Asks with another key from now on. @param key empty: without one. */
  useKey(key: string): void {
    keepKey(key);
    this.connection = { state: 'connecting' };
    this.#stream.open();
    this.#changed();
  }

  /** @returns the function that unsubscribes. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Fetches a day of minutes; only the 24 h chart needs them. */
  async fetchDay(): Promise<void> {
    const nowMs = this.state === undefined ? Date.now() : Date.parse(this.state.at);
    const { minutes } = await api.readings(new Date(nowMs - DAY_MS).toISOString());
    this.history.replaceMinutes(minutes);
    this.#changed();
  }

  #onState(state: State): void {
    this.state = state;
    this.#version ??= state.version;
    if (this.#pending !== undefined) this.#pending.push(state);
    else if (this.#isCaughtUp) this.history.addState(state);
    else void this.#catchUp(state);
    this.#changed();
  }

  #onMark(mark: Mark): void {
    this.marks.add(mark);
    if (mark.ended !== undefined) {
      const ended = { ...mark.ended, cleanup: mark.receipt ?? null };
      this.past = [ended, ...this.past.filter(({ id }) => id !== ended.id)].slice(0, MAX_PAST);
    }
    this.#changed();
  }

  #onConnection(connection: Connection): void {
    this.connection = connection;
    // What happens while the stream is closed is fetched with the next state.
    if (connection.state !== 'live') this.#isCaughtUp = false;
    this.#changed();
  }

  /** Fetches what happened before this state. Times are the server's, as its clock may differ. */
  async #catchUp(state: State): Promise<void> {
    this.#isCaughtUp = true;
    this.#pending = [state];
    const lastMs = this.history.seconds.lastTime * 1000 + 1;
    const sinceMs = Math.max(Date.parse(state.at) - HISTORY_MS, lastMs);
    const since = new Date(sinceMs).toISOString();
    // Each part is shown even if others fail; the stream goes on in any case.
    const [readings, processes, sessions, receipts, loads] = await Promise.allSettled([
      api.readings(since),
      api.processes(),
      api.sessions(MAX_PAST),
      api.receipts({ since, limit: MAX_RECEIPTS }),
      api.loads(since, MAX_LOADS),
    ]);
    this.history.addReadings(
      readings.status === 'fulfilled' ? readings.value.seconds : [],
      processes.status === 'fulfilled' ? processes.value : { names: [], readings: [] },
    );
    if (sessions.status === 'fulfilled') {
      this.past = sessions.value.filter((session) => session.ended_at !== null);
    }
    if (receipts.status === 'fulfilled') this.marks.addReceipts(receipts.value, this.past);
    if (loads.status === 'fulfilled') this.marks.addLoads(loads.value);
    for (const pending of this.#pending) this.history.addState(pending);
    this.#pending = undefined;
    this.#changed();
  }

  #changed(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // A hidden tab gets no frames and so draws nothing until it is visible again.
    requestAnimationFrame(() => {
      this.#isScheduled = false;
      for (const listener of this.#listeners) listener();
    });
  }
}
