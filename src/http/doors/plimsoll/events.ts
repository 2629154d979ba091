import type { ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { EVENTS_URL, type EventKind } from '../../../contract/events.js';
import { text } from '../../../contract/schema/schema.js';
import { addRoute } from '../../route.js';
import type { HttpServices, PageStream } from '../../services.js';

/** A page whose stream has ended asks again after this time. */
const RECONNECT_MS = 2000;
/** Bytes buffered for a page that does not read, beyond the kernel's buffers; a page that needs more is dropped. */
const MAX_BUFFERED_BYTES = 256 * 1024;
/** A page that has not read its last state misses the next ones; after so many in a row it is dropped. */
const MAX_MISSED = 5;
/** Time for the last bytes to leave once a stream ends. */
const END_MS = 250;

/** `/v1/events` */
export function eventRoutes(app: FastifyInstance, { events }: HttpServices): void {
  // Fastify waits for open requests when it closes, and a stream never ends by itself.
  app.addHook('preClose', async () => events.close());
  addRoute(app, {
    method: 'GET',
    url: EVENTS_URL,
    scope: 'read',
    // A HEAD would wait for the end of the stream.
    withoutHead: true,
    summary: 'What the page shows, as server-sent events: a `state` every second, and marks',
    tag: 'page',
    produces: 'text/event-stream',
    replies: {
      200: text(
        'The data of each `state` is a PageState, that of each `mark` a Mark: see components.',
      ),
    },
    handle: async (_request, reply) => {
      const { raw } = reply;
      const leave = events.join(new EventStream(raw));
      raw.on('close', leave);
      if (raw.destroyed) leave();
      const headers = Object.entries(reply.getHeaders()).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, value] as const],
      );
      reply.hijack();
      raw.writeHead(200, {
        ...Object.fromEntries(headers),
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        // The connection is for this stream alone: it closes with it.
        connection: 'close',
        'x-accel-buffering': 'no',
      });
      raw.write(`retry: ${RECONNECT_MS}\n\n`);
      return reply;
    },
  });
}

/** One page's stream. A page that does not read misses states, and is dropped in the end. */
export class EventStream implements PageStream {
  readonly #raw: ServerResponse;
  #missed = 0;

  constructor(raw: ServerResponse) {
    this.#raw = raw;
  }

  send(kind: EventKind, message: Buffer): void {
    const raw = this.#raw;
    if (raw.destroyed || raw.writableEnded) return;
    if (kind !== 'state' || !raw.writableNeedDrain) {
      if (kind === 'state') this.#missed = 0;
      raw.write(message);
    } else {
      // Its next state replaces this one.
      this.#missed += 1;
    }
    if (this.#missed > MAX_MISSED || this.#isOverfull(message)) raw.destroy();
  }

  end(): void {
    const raw = this.#raw;
    raw.end();
    setTimeout(() => raw.destroy(), END_MS).unref();
  }

  /** One message may be larger than the bound; what waits beside it may not. */
  #isOverfull(message: Buffer): boolean {
    return this.#raw.writableLength > MAX_BUFFERED_BYTES + message.length;
  }
}
