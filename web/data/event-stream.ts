import { type Ending, MessageReader } from './message-reader.js';
import type { Mark, State } from './wire.js';

/** The state of this page's connection to the server. */
export type Connection =
  | { readonly state: 'connecting' }
  /** `restoredAfterMs` is set when the connection was lost before. */
  | { readonly state: 'live'; readonly restoredAfterMs?: number }
  /** The tab is hidden, so the page has closed its stream. */
  | { readonly state: 'paused' }
  /** The server asks for a key, or for another one. */
  | { readonly state: 'locked'; readonly reason: string }
  /** The server does not answer, or refuses; the page keeps trying. */
  | { readonly state: 'lost'; readonly sinceMs: number; readonly reason: string };

export interface EventStreamListener {
  readonly onState: (state: State) => void;
  readonly onMark: (mark: Mark) => void;
  readonly onConnection: (connection: Connection) => void;
}

/** The server sends a state each second; after this long without one the connection counts as lost. */
const SILENCE_LIMIT_MS = 6000;
const RETRY_MS = 2000;
const CHECK_INTERVAL_MS = 1000;
/** Browsers open at most six connections to a server, so a hidden tab gives its own back after this. */
const HIDDEN_LIMIT_MS = 3000;

/**
 * The server's event stream. It reconnects by itself, also after a refusal and after silence. A server that asks for a key is
 * asked again when there is one.
 */
export class EventStream {
  readonly #listener: EventStreamListener;
  #source: MessageReader | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #pause: ReturnType<typeof setTimeout> | undefined;
  #lastMessageMs = 0;
  #connection: Connection = { state: 'connecting' };

  constructor(listener: EventStreamListener) {
    this.#listener = listener;
    setInterval(() => this.#checkSilence(), CHECK_INTERVAL_MS);
    document.addEventListener('visibilitychange', () => this.#onVisibility());
    this.open();
  }

  /** Connects anew: with another key, or because the last stream was lost. */
  open(): void {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#lastMessageMs = performance.now();
    const source = new MessageReader('v1/events', {
      onMessage: (kind, data) => {
        if (source !== this.#source) return;
        this.#onMessage();
        if (kind === 'state') this.#listener.onState(JSON.parse(data) as State);
        else if (kind === 'mark') this.#listener.onMark(JSON.parse(data) as Mark);
      },
      onEnd: (ending) => this.#onLost(source, ending),
    });
    this.#source = source;
  }

  /** A tab that becomes visible reconnects; the page then fetches what it missed. */
  #onVisibility(): void {
    clearTimeout(this.#pause);
    if (!document.hidden) {
      if (this.#connection.state === 'paused') this.open();
      return;
    }
    this.#pause = setTimeout(() => {
      clearTimeout(this.#retry);
      this.#source?.close();
      this.#source = undefined;
      this.#become({ state: 'paused' });
    }, HIDDEN_LIMIT_MS);
  }

  #onMessage(): void {
    this.#lastMessageMs = performance.now();
    if (this.#connection.state === 'live') return;
    const lost = this.#connection.state === 'lost' ? this.#connection : undefined;
    const restored = lost === undefined ? {} : { restoredAfterMs: Date.now() - lost.sinceMs };
    this.#become({ state: 'live', ...restored });
  }

  #checkSilence(): void {
    if (this.#source === undefined) return;
    if (performance.now() - this.#lastMessageMs < SILENCE_LIMIT_MS) return;
    this.#onLost(this.#source, { kind: 'no answer' });
  }

  #onLost(source: MessageReader, ending: Ending): void {
    if (source !== this.#source) return;
    source.close();
    this.#source = undefined;
    if (ending.kind === 'refused' && (ending.status === 401 || ending.status === 403)) {
      this.#become({ state: 'locked', reason: ending.message });
      return;
    }
    this.#retry = setTimeout(() => this.open(), RETRY_MS);
    const connection = this.#connection;
    const silentSinceMs = Date.now() - (performance.now() - this.#lastMessageMs);
    const sinceMs = connection.state === 'lost' ? connection.sinceMs : silentSinceMs;
    this.#become({ state: 'lost', sinceMs, reason: reasonOf(ending) });
  }

  #become(connection: Connection): void {
    this.#connection = connection;
    this.#listener.onConnection(connection);
  }
}

function reasonOf(ending: Ending): string {
  if (ending.kind === 'refused') {
    return `The server refuses the event stream: ${ending.message}.`;
  }
  return ending.kind === 'interrupted'
    ? 'The event stream was interrupted.'
    : 'The server does not answer.';
}
