import type { FastifyInstance } from 'fastify';
import { EVENTS_URL } from '../../../contract/events.js';
import { text } from '../../../contract/schema/schema.js';
import { endWithKey } from '../../guards/stream-guard.js';
import { addRoute } from '../../route.js';
import type { HttpServices } from '../../services.js';
import { EventStream, openEventStream } from './event-stream.js';

/** `/v1/events` */
export function eventRoutes(app: FastifyInstance, { events, keyCheck }: HttpServices): void {
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
    handle: async (request, reply) => {
      const { raw } = reply;
      const stream = new EventStream(raw);
      const leave = events.join(stream);
      endWithKey(request, keyCheck, () => stream.end());
      raw.on('close', leave);
      if (raw.destroyed) leave();
      openEventStream(reply);
      return reply;
    },
  });
}
