import type { FastifyInstance } from 'fastify';
import {
  pullPathSchema,
  pullSchema,
  pullsSchema,
  startPullSchema,
} from '../../../contract/models.js';
import { addRoute } from '../../route.js';
import type { HttpServices } from '../../services.js';

const tag = 'models';

/** `/v1/models/pull` and `/v1/pulls` */
export function pullRoutes(app: FastifyInstance, { pulls }: HttpServices): void {
  addRoute(app, {
    method: 'POST',
    url: '/v1/models/pull',
    scope: 'manage',
    summary: 'Fetch a model from the hub and serve it; `hub.pull` must allow it',
    tag,
    body: startPullSchema,
    replies: { 202: pullSchema },
    handle: async ({ body }, reply) => {
      reply.code(202);
      return pulls.start(body.model);
    },
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/pulls',
    scope: 'read',
    summary: 'Models that are being fetched, and the last ones that were; the newest first',
    tag,
    replies: { 200: pullsSchema },
    handle: async () => ({ pulls: pulls.list() }),
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/pulls/:id',
    scope: 'read',
    summary: 'How far a pull is',
    tag,
    path: pullPathSchema,
    replies: { 200: pullSchema },
    handle: async ({ params }) => pulls.show(params.id),
  });

  addRoute(app, {
    method: 'DELETE',
    url: '/v1/pulls/:id',
    scope: 'manage',
    summary: 'Cancel a pull; what it has fetched is kept for the next one',
    tag,
    path: pullPathSchema,
    replies: { 200: pullSchema },
    handle: ({ params }) => pulls.cancel(params.id),
  });
}
