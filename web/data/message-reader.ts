import { keyHeaders } from './key.js';

/** What a stream tells. */
export interface MessageListener {
  readonly onMessage: (kind: string, data: string) => void;
  /** Once: the stream has ended, or was refused. */
  readonly onEnd: (ending: Ending) => void;
}

export type Ending =
  | { readonly kind: 'interrupted' | 'no answer' }
  | { readonly kind: 'refused'; readonly status: number; readonly message: string };

/**
 * Reads a stream of server-sent events (WHATWG HTML, "Server-sent events") with `fetch`, which sends the key of this
 * tab: `EventSource` sends no header. It never reconnects.
 */
export class MessageReader {
  readonly #controller = new AbortController();
  readonly #listener: MessageListener;

  constructor(address: string, listener: MessageListener) {
    this.#listener = listener;
    void this.#read(address).then((ending) => {
      if (!this.#controller.signal.aborted) listener.onEnd(ending);
    });
  }

  close(): void {
    this.#controller.abort();
  }

  async #read(address: string): Promise<Ending> {
    const { signal } = this.#controller;
    let reply: Response;
    try {
      const headers = { accept: 'text/event-stream', ...keyHeaders() };
      reply = await fetch(address, { signal, headers, cache: 'no-store' });
    } catch {
      return { kind: 'no answer' };
    }
    if (!reply.ok || reply.body === null) {
      const answer = (await reply.json().catch(() => ({}))) as { error?: { message?: string } };
      const message = answer.error?.message ?? String(reply.status);
      return { kind: 'refused', status: reply.status, message };
    }
    try {
      await this.#messages(reply.body.pipeThrough(new TextDecoderStream()).getReader());
    } catch {
      // The connection broke.
    }
    return { kind: 'interrupted' };
  }

  async #messages(reader: ReadableStreamDefaultReader<string>): Promise<void> {
    let text = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += value;
      const messages = text.split('\n\n');
      text = messages.pop() ?? '';
      for (const message of messages) this.#tell(message);
    }
  }

  #tell(message: string): void {
    let kind = 'message';
    const data: string[] = [];
    for (const line of message.split('\n')) {
      if (line.startsWith('event: ')) kind = line.slice('event: '.length);
      else if (line.startsWith('data: ')) data.push(line.slice('data: '.length));
    }
    if (data.length > 0) this.#listener.onMessage(kind, data.join('\n'));
  }
}
