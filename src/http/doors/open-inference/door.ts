import type { FastifyInstance } from 'fastify';
import {
  oipErrorSchema,
  oipLiveSchema,
  oipReadySchema,
  oipServerSchema,
} from '../../../contract/doors/open-inference.js';
import { VERSION } from '../../../version.js';
import { addRoute } from '../../route.js';
import type { HttpServices } from '../../services.js';
import type { Door } from '../door.js';
import { Unloads } from './availability.js';
import { oipErrors } from './errors.js';
import { modelRoutes } from './models.js';
import { repositoryRoutes, tag } from './repository.js';

/** Extensions of Triton, by the names that it gives them. */
const EXTENSIONS = [
  'classification',
  'model_repository',
  'model_configuration',
  'statistics',
  'binary_tensor_data',
];

/** The Open Inference protocol, version 2, over HTTP, with extensions of Triton. */
export const openInference: Door = {
  name: 'open-inference',
  errors: oipErrors,
  prefixes: ['/v2'],
  health: ['/v2/health/live', '/v2/health/ready', '/v2/models/{id}/ready'],
  replyHeaders: ['inference-header-content-length'],
  open: (app, services, calls) => {
    takeBytes(app);
    const unloads = new Unloads();
    serverRoutes(app, services);
    repositoryRoutes(app, services, unloads);
    modelRoutes(app, services, calls, unloads);
  },
};

/** Bodies are JSON with bytes behind it, and clients give them any content type, or none. */
function takeBytes(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
}

function serverRoutes(app: FastifyInstance, services: HttpServices): void {
  addRoute(app, {
    method: 'GET',
    url: '/v2',
    scope: 'any',
    summary: 'The server and the extensions that it has',
    tag,
    errors: oipErrorSchema,
    replies: { 200: oipServerSchema },
    handle: async () => ({ name: 'plimsoll', version: VERSION, extensions: EXTENSIONS }),
  });

  addRoute(app, {
    method: 'GET',
    url: '/v2/health/live',
    scope: 'open',
    summary: 'The process answers',
    tag,
    errors: oipErrorSchema,
    replies: { 200: oipLiveSchema },
    handle: async () => ({ live: true }),
  });

  addRoute(app, {
    method: 'GET',
    url: '/v2/health/ready',
    scope: 'open',
    summary: 'Requests can be taken',
    tag,
    errors: oipErrorSchema,
    replies: { 200: oipReadySchema, 503: oipReadySchema },
    handle: async (_request, reply) => {
      const reason = services.notReadyBecause();
      if (reason === '') return { live: true, ready: true };
      reply.code(503).header('retry-after', '1');
      return { live: true, ready: false, error: reason };
    },
  });
}
