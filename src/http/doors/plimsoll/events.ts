import type { ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { commonErrors } from '../../schemas.js';
import type { EventKind, HttpServices, Viewer } from '../../services.js';

export const EVENTS_ROUTE = '/v1/events';
/** Time after which a page whose stream has ended asks again. */
const RECONNECT_MS = 2000;
/** Bytes that wait for a page to read them, beyond what the kernel holds; a page that needs more is dropped. */
const MAX_BUFFERED_BYTES = 256 * 1024;
/** States that a page may miss one after the other because it has not read the last one. */
const MAX_MISSED = 5;
/** Time for the last bytes to leave when the server stops. */
const END_MS = 250;

/** `/v1/events` */
export function eventRoutes(app: FastifyInstance, { events }: HttpServices): void {
  // An open stream would hold the stopping up.
  app.addHook('preClose', async () => events.close());
  app.get(
    EVENTS_ROUTE,
    {
      // A HEAD would wait for the end of the stream.
      exposeHeadRoute: false,
      schema: {
        summary: 'What the page shows, as server-sent events: a `state` every second, and marks',
        tags: ['page'],
        produces: ['text/event-stream'],
        response: { 200: { type: 'string' }, ...commonErrors },
      },
    },
    async (_request, reply) => {
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
    },
  );
}

/** One page's stream. What it does not read in time is not kept for it. */
export class EventStream implements Viewer {
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
      // The next state says all that this one does.
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
