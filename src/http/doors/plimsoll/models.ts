import type { FastifyInstance } from 'fastify';
import { modelDetailSchema, modelSchema, modelsSchema } from '../../../contract/models.js';
import { object, text } from '../../../contract/schema/schema.js';
import { PlimsollError } from '../../../errors.js';
import { addRoute } from '../../route.js';
import type { HttpServices } from '../../services.js';

const tag = 'models';

/** `/v1/models` */
export function modelRoutes(app: FastifyInstance, { models }: HttpServices): void {
  addRoute(app, {
    method: 'GET',
    url: '/v1/models',
    scope: 'any',
    summary: 'Every model in the repository',
    tag,
    replies: { 200: modelsSchema },
    handle: async () => ({ models: await models.list() }),
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/models/*',
    scope: 'any',
    summary: 'One model ({id}), with everything that was decided about it and why',
    tag,
    path: object({ '*': text() }),
    replies: { 200: modelDetailSchema },
    handle: ({ params }) => models.show(params['*']),
  });

  // Ids of models hold slashes, which the router allows at an address's end only; see openapi.ts.
  addRoute(app, {
    method: 'POST',
    url: '/v1/models/*',
    scope: 'manage',
    summary: 'Open ({id}/load) or release ({id}/unload) a model in the workers',
    tag,
    path: object({ '*': text() }),
    replies: { 200: modelSchema },
    handle: async ({ params }) => {
      const [, id, action] = /^(.+)\/(load|unload)$/.exec(params['*']) ?? [];
      if (id === undefined) {
        const message =
          'the addresses of a model are /v1/models/{id}/load and /v1/models/{id}/unload';
        throw new PlimsollError('NOT_FOUND', message);
      }
      return action === 'load' ? models.load(id) : models.unload(id);
    },
  });
}
