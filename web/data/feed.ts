import type { Mark, State } from './wire.js';

/** How the page stands with the server. */
export type Link =
  | { readonly state: 'connecting' }
  | { readonly state: 'live' }
  /** Nobody sees the tab. */
  | { readonly state: 'resting' }
  /** It does not answer, or not as it should; tried again and again. */
  | { readonly state: 'away'; readonly sinceMs: number; readonly why: string };

export interface FeedListener {
  readonly onState: (state: State) => void;
  readonly onMark: (mark: Mark) => void;
  readonly onLink: (link: Link) => void;
}

/** A state comes each second; a server that is silent for this long counts as away. */
const SILENT_MS = 6000;
const RETRY_MS = 2000;
const LOOK_MS = 1000;
/** Browsers open six connections to a server at most: a tab that nobody sees gives its own back after this. */
const HIDDEN_MS = 3000;

/**
 * The stream of events. It begins again by itself, also where a browser would not (a refusal), and
 * where a dead connection would go unnoticed (silence).
 */
export class Feed {
  readonly #listener: FeedListener;
  #source: EventSource | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #rest: ReturnType<typeof setTimeout> | undefined;
  #heardAtMs = 0;
  #messages = 0;
  #link: Link = { state: 'connecting' };

  constructor(listener: FeedListener) {
    this.#listener = listener;
    setInterval(() => this.#watch(), LOOK_MS);
    document.addEventListener('visibilitychange', () => this.#seen());
    this.#open();
  }

  #open(): void {
    clearTimeout(this.#retry);
    this.#source?.close();
    const source = new EventSource('v1/events');
    this.#source = source;
    this.#heardAtMs = performance.now();
    source.addEventListener('state', ({ data }: MessageEvent<string>) => {
      this.#hear();
      this.#listener.onState(JSON.parse(data) as State);
    });
    source.addEventListener('mark', ({ data }: MessageEvent<string>) => {
      this.#hear();
      this.#listener.onMark(JSON.parse(data) as Mark);
    });
    source.addEventListener('error', () => void this.#lose(source));
  }

  /** A tab that comes back to sight begins again; what it missed is asked for. */
  #seen(): void {
    clearTimeout(this.#rest);
    if (!document.hidden) {
      if (this.#link.state === 'resting') this.#open();
      return;
    }
    this.#rest = setTimeout(() => {
      clearTimeout(this.#retry);
      this.#source?.close();
      this.#source = undefined;
      this.#become({ state: 'resting' });
    }, HIDDEN_MS);
  }

  #hear(): void {
    this.#messages += 1;
    this.#heardAtMs = performance.now();
    if (this.#link.state !== 'live') this.#become({ state: 'live' });
  }

  #watch(): void {
    if (this.#source === undefined) return;
    if (performance.now() - this.#heardAtMs > SILENT_MS) void this.#lose(this.#source);
  }

  async #lose(source: EventSource): Promise<void> {
    if (source !== this.#source) return;
    source.close();
    this.#source = undefined;
    this.#retry = setTimeout(() => this.#open(), RETRY_MS);
    const heard = this.#messages;
    const why = await whyAway();
    // Or the tab was hidden.
    if (this.#link.state === 'resting') return;
    // It came back while that was asked.
    if (this.#messages !== heard) return;
    const sinceMs = this.#link.state === 'away' ? this.#link.sinceMs : Date.now();
    this.#become({ state: 'away', sinceMs, why });
  }

  #become(link: Link): void {
    this.#link = link;
    this.#listener.onLink(link);
  }
}

/** An EventSource does not tell why it failed: one more request does. */
async function whyAway(): Promise<string> {
  try {
    const signal = AbortSignal.timeout(RETRY_MS);
    const reply = await fetch('v1/events', { signal, headers: { accept: 'text/event-stream' } });
    if (reply.ok) {
      await reply.body?.cancel();
      return 'The stream of events broke off.';
    }
    const { error } = (await reply.json()) as { error?: { message?: string } };
    return `The server refuses the stream of events: ${error?.message ?? reply.status}.`;
  } catch {
    return 'The server does not answer.';
  }
}
