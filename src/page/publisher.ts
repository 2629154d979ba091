import type { EventKind, Mark } from '../contract/events.js';
import { toInstant } from '../contract/units.js';
import { PlimsollError } from '../errors.js';
import { whoGivesWay } from '../system/viewer-places.js';
import type { NewMark } from './marks.js';

/** The stream to an open page. */
export interface Viewer {
  /** Takes a message of `text/event-stream`; never waits. */
  readonly send: (kind: EventKind, message: Buffer) => void;
  /** How long it has not read all that was sent to it, ms. */
  readonly stalledMs: number;
  readonly end: () => void;
}

export interface PublisherOptions {
  /** Open pages at most. */
  readonly maxViewers: number;
  /** Time between two states. */
  readonly intervalMs: number;
  /** What the page shows now: a `PageState` of the contract. */
  readonly state: () => Promise<unknown>;
  readonly onError: (line: string, error: unknown) => void;
}

/** A heartbeat after so many states: it is sent even when no state can be made. */
const HEARTBEAT_EVERY = 15;
const HEARTBEAT = Buffer.from(': the server is alive\n\n');

/**
 * Feeds the open pages: one state a second, serialised once for all pages, and marks as they come. While
 * no page is open it does nothing.
 */
export class EventPublisher {
  readonly #options: PublisherOptions;
  /** With the time when each joined, by `performance.now()`. */
  readonly #viewers = new Map<Viewer, number>();
  #timer: NodeJS.Timeout | undefined;
  #ticking = false;
  #state: { readonly message: Buffer; readonly atMs: number } | undefined;
  #making: Promise<Buffer | undefined> | undefined;
  #failing = false;
  #sinceHeartbeat = 0;
  #lastMarkId = 0;
  #closed = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  get viewerCount(): number {
    return this.#viewers.size;
  }

  /**
   * Feeds a page: a state at once, then whatever comes. The first message is sent after this has returned. Where every place is
   * taken, a slow page or the one that has been open longest gives way: see {@link whoGivesWay}.
   *
   * @returns a function that ends it.
   * @throws PlimsollError TOO_MANY_VIEWERS, SHUTTING_DOWN
   */
  join(viewer: Viewer): () => void {
    if (this.#closed) throw new PlimsollError('SHUTTING_DOWN', 'the server is stopping');
    if (this.#viewers.size >= this.#options.maxViewers) this.#makeRoom();
    if (this.#viewers.size >= this.#options.maxViewers) {
      const message = `${this.#viewers.size} pages are open (page.max_viewers)`;
      throw new PlimsollError('TOO_MANY_VIEWERS', message, { retryAfterSeconds: 5 });
    }
    this.#viewers.set(viewer, performance.now());
    void this.#freshState().then((message) => {
      if (message !== undefined && this.#viewers.has(viewer)) viewer.send('state', message);
    });
    this.#schedule();
    return () => this.#forget(viewer);
  }

  /** Sends a mark to every open page. */
  mark(mark: NewMark): void {
    if (this.#viewers.size === 0) return;
    // Rising over restarts too, so that a page that reconnects does not take a new mark for a known one.
    this.#lastMarkId = Math.max(this.#lastMarkId + 1, Date.now());
    const at = toInstant(Date.now());
    const message: Mark = { id: this.#lastMarkId, at, ...mark };
    this.#sendToAll('mark', messageFor('mark', message));
  }

  /** Ends every stream and refuses new ones. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const viewer of this.#viewers.keys()) viewer.end();
    this.#viewers.clear();
  }

  #makeRoom(): void {
    const holders = [...this.#viewers].map(([viewer, joinedAtMs]) => {
      return { viewer, joinedAtMs, stalledMs: viewer.stalledMs };
    });
    const leaving = whoGivesWay(holders, performance.now())?.viewer;
    if (leaving === undefined) return;
    this.#viewers.delete(leaving);
    leaving.end();
  }

  #forget(viewer: Viewer): void {
    this.#viewers.delete(viewer);
    if (this.#viewers.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#state = undefined;
  }

  #schedule(): void {
    const isPlanned = this.#timer !== undefined || this.#ticking;
    if (isPlanned || this.#viewers.size === 0 || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#ticking = true;
      void this.#tick().finally(() => {
        this.#ticking = false;
        this.#schedule();
      });
    }, this.#options.intervalMs).unref();
  }

  async #tick(): Promise<void> {
    const message = await this.#make();
    if (message !== undefined) this.#sendToAll('state', message);
    this.#sinceHeartbeat += 1;
    if (message !== undefined && this.#sinceHeartbeat < HEARTBEAT_EVERY) return;
    this.#sinceHeartbeat = 0;
    this.#sendToAll('heartbeat', HEARTBEAT);
  }

  #sendToAll(kind: EventKind, message: Buffer): void {
    for (const viewer of this.#viewers.keys()) viewer.send(kind, message);
  }

  /** The last state if it is younger than the interval, else a new one. */
  #freshState(): Promise<Buffer | undefined> {
    const last = this.#state;
    const isFresh = last !== undefined && performance.now() - last.atMs < this.#options.intervalMs;
    return isFresh ? Promise.resolve(last.message) : this.#make();
  }

  /** Makes a state, shared by all who ask meanwhile; undefined if that fails. */
  #make(): Promise<Buffer | undefined> {
    this.#making ??= this.#makeState().finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #makeState(): Promise<Buffer | undefined> {
    try {
      const message = messageFor('state', await this.#options.state());
      this.#state = { message, atMs: performance.now() };
      this.#failing = false;
      return message;
    } catch (error) {
      // Logged once, not every second.
      if (!this.#failing) this.#options.onError('the page gets no state', error);
      this.#failing = true;
      return undefined;
    }
  }
}

/** One message of `text/event-stream`; JSON has no line breaks, so its data is one line. */
function messageFor(kind: EventKind, data: unknown): Buffer {
  return Buffer.from(`event: ${kind}\ndata: ${JSON.stringify(data)}\n\n`);
}
