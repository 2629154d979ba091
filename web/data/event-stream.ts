import type { Mark, State } from './wire.js';

/** The state of this page's connection to the server. */
export type Connection =
  | { readonly state: 'connecting' }
  /** `restoredAfterMs` is set when the connection was lost before. */
  | { readonly state: 'live'; readonly restoredAfterMs?: number }
  /** The tab is hidden, so the page has closed its stream. */
  | { readonly state: 'paused' }
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
 * The server's event stream. It reconnects by itself, also after a refusal (where EventSource gives
 * up) and after silence (where EventSource notices nothing).
 */
export class EventStream {
  readonly #listener: EventStreamListener;
  #source: EventSource | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #pause: ReturnType<typeof setTimeout> | undefined;
  #lastMessageMs = 0;
  #messages = 0;
  #connection: Connection = { state: 'connecting' };

  constructor(listener: EventStreamListener) {
    this.#listener = listener;
    setInterval(() => this.#checkSilence(), CHECK_INTERVAL_MS);
    document.addEventListener('visibilitychange', () => this.#onVisibility());
    this.#open();
  }

  #open(): void {
    clearTimeout(this.#retry);
    this.#source?.close();
    const source = new EventSource('v1/events');
    this.#source = source;
    this.#lastMessageMs = performance.now();
    source.addEventListener('state', ({ data }: MessageEvent<string>) => {
      this.#onMessage();
      this.#listener.onState(JSON.parse(data) as State);
    });
    source.addEventListener('mark', ({ data }: MessageEvent<string>) => {
      this.#onMessage();
      this.#listener.onMark(JSON.parse(data) as Mark);
    });
    source.addEventListener('error', () => void this.#onLost(source));
  }

  /** A tab that becomes visible reconnects; the page then fetches what it missed. */
  #onVisibility(): void {
    clearTimeout(this.#pause);
    if (!document.hidden) {
      if (this.#connection.state === 'paused') this.#open();
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
    this.#messages += 1;
    this.#lastMessageMs = performance.now();
    if (this.#connection.state === 'live') return;
    const lost = this.#connection.state === 'lost' ? this.#connection : undefined;
    const restored = lost === undefined ? {} : { restoredAfterMs: Date.now() - lost.sinceMs };
    this.#become({ state: 'live', ...restored });
  }

  #checkSilence(): void {
    if (this.#source === undefined) return;
    if (performance.now() - this.#lastMessageMs > SILENCE_LIMIT_MS) void this.#onLost(this.#source);
  }

  async #onLost(source: EventSource): Promise<void> {
    if (source !== this.#source) return;
    source.close();
    this.#source = undefined;
    this.#retry = setTimeout(() => this.#open(), RETRY_MS);
    const received = this.#messages;
    const silentSinceMs = Date.now() - (performance.now() - this.#lastMessageMs);
    const reason = await lossReason();
    // While that was asked, the tab may have been hidden, or the stream may have come back.
    if (this.#connection.state === 'paused' || this.#messages !== received) return;
    const connection = this.#connection;
    const sinceMs = connection.state === 'lost' ? connection.sinceMs : silentSinceMs;
    this.#become({ state: 'lost', sinceMs, reason });
  }

  #become(connection: Connection): void {
    this.#connection = connection;
    this.#listener.onConnection(connection);
  }
}

/** EventSource does not say why it failed, so one more request asks. */
async function lossReason(): Promise<string> {
  try {
    const signal = AbortSignal.timeout(RETRY_MS);
    const reply = await fetch('v1/events', { signal, headers: { accept: 'text/event-stream' } });
    if (reply.ok) {
      await reply.body?.cancel();
      return 'The event stream was interrupted.';
    }
    const { error } = (await reply.json()) as { error?: { message?: string } };
    return `The server refuses the event stream: ${error?.message ?? reply.status}.`;
  } catch {
    return 'The server does not answer.';
  }
}
