import http from 'node:http';
import { until } from './processes.js';

/** One message of the stream. */
export interface StreamEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** An open page: reads `/v1/events` as a browser does. */
export class EventReader {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly events: StreamEvent[] = [];
  /** Text that is no event: the retry time, comments, or the body of an error. */
  readonly rest: string[] = [];
  readonly #request: http.ClientRequest;
  #unfinished = '';
  #ended = false;

  static open(
    server: { readonly url: string },
    headers: http.OutgoingHttpHeaders = {},
  ): Promise<EventReader> {
    return new Promise((resolve, reject) => {
      const request = http.get(`${server.url}/v1/events`, { agent: false, headers });
      request.on('error', reject);
      request.on('response', (reply) => resolve(new EventReader(request, reply)));
    });
  }

  private constructor(request: http.ClientRequest, reply: http.IncomingMessage) {
    this.#request = request;
    this.status = reply.statusCode ?? 0;
    this.headers = reply.headers;
    request.on('error', () => undefined);
    reply.setEncoding('utf8').on('data', (text: string) => this.#take(text));
    const end = () => {
      this.#ended = true;
      if (this.#unfinished !== '') this.rest.push(this.#unfinished);
    };
    reply.on('end', end);
    reply.on('error', end);
  }

  /** The first message of that kind that fits, come or still to come. */
  waitFor<T = Readonly<Record<string, unknown>>>(
    event: string,
    fits: (data: T) => boolean = () => true,
  ): Promise<T> {
    return until(`a message ${event}`, () => {
      const found = this.events.find((one) => one.event === event && fits(one.data as T));
      return found?.data as T | undefined;
    });
  }

  /** Settles when the server has ended the stream. */
  async ended(): Promise<void> {
    await until('the stream has ended', () => this.#ended);
  }

  close(): void {
    this.#request.destroy();
  }

  #take(text: string): void {
    const blocks = (this.#unfinished + text).split('\n\n');
    this.#unfinished = blocks.pop() ?? '';
    for (const block of blocks) {
      const [, event, data] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
      if (event === undefined) this.rest.push(block);
      else this.events.push({ event, data: JSON.parse(data ?? '') });
    }
  }
}
