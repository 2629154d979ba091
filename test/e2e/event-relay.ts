import { once } from 'node:events';
import http from 'node:http';
import { EventReader, type StreamEvent } from './event-reader.js';

/** A rate at which a page can keep up: what it has not read waits here, not in its memory. */
const BATCH = 100;

/**
 * Stands between a page and a real server, and can play the real server's events many times over, each
 * a second later than the one before: days of them within seconds.
 */
export class EventRelay {
  readonly url: string;
  readonly #server: http.Server;
  readonly #target: string;
  readonly #real: EventReader;
  readonly #streams = new Set<http.ServerResponse>();
  #atMs = Date.now();
  #nextId = Date.now();
  #turn = 0;

  static async start(target: { readonly url: string }): Promise<EventRelay> {
    const real = await EventReader.open(target);
    await real.waitFor('state');
    const server = http.createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    return new EventRelay(server, target.url, `http://127.0.0.1:${port}`, real);
  }

  private constructor(server: http.Server, target: string, url: string, real: EventReader) {
    this.#server = server;
    this.#target = target;
    this.#real = real;
    this.url = url;
    server.on('request', (request, reply) => {
      if (request.url === '/v1/events') this.#stream(reply);
      else this.#pass(request, reply);
    });
  }

  /** Plays that many events, a mark after each second state, and last a state with so many waiting inputs. */
  async play(count: number, last: number): Promise<void> {
    const states = this.#real.events.filter(({ event }) => event === 'state');
    const marks = this.#real.events.filter(({ event }) => event === 'mark');
    for (let sent = 0; sent < count; sent += BATCH) {
      let text = '';
      for (let event = 0; event < BATCH; event += 1) {
        const isMark = event % 3 === 2 && marks.length > 0;
        text += isMark ? this.#mark(marks) : this.#state(states);
      }
      await this.#send(text);
    }
    await this.#send(this.#state(states, { waiting_inputs: last }));
  }

  async stop(): Promise<void> {
    this.#real.close();
    for (const stream of this.#streams) stream.destroy();
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  #state(states: readonly StreamEvent[], change: Readonly<Record<string, unknown>> = {}): string {
    this.#turn += 1;
    this.#atMs += 1000;
    const state = states[this.#turn % states.length]?.data;
    const data = { ...state, at: new Date(this.#atMs).toISOString(), ...change };
    return `event: state\ndata: ${JSON.stringify(data)}\n\n`;
  }

  /** Each of another session, so that nothing is kept because it is already there. */
  #mark(marks: readonly StreamEvent[]): string {
    this.#turn += 1;
    this.#nextId += 1;
    const mark = marks[this.#turn % marks.length]?.data ?? {};
    const ended =
      mark.ended === undefined ? {} : { ended: { ...mark.ended, id: `s_${this.#nextId}` } };
    const at = new Date(this.#atMs).toISOString();
    const data = { ...mark, id: this.#nextId, at, ...ended };
    return `event: mark\ndata: ${JSON.stringify(data)}\n\n`;
  }

  async #send(text: string): Promise<void> {
    for (const stream of this.#streams) {
      if (!stream.write(text)) await once(stream, 'drain');
    }
  }

  #stream(reply: http.ServerResponse): void {
    reply.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    this.#streams.add(reply);
    reply.on('close', () => this.#streams.delete(reply));
    reply.write(this.#state(this.#real.events.filter(({ event }) => event === 'state')));
  }

  #pass(request: http.IncomingMessage, reply: http.ServerResponse): void {
    const { method, headers } = request;
    const target = http.request(
      new URL(request.url ?? '/', this.#target),
      { method, headers, agent: false },
      (answer) => {
        reply.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(reply);
      },
    );
    target.on('error', () => reply.destroy());
    request.pipe(target);
  }
}
