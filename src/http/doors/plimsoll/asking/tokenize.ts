import type { FastifyInstance } from 'fastify';
import { tokenizedSchema, tokenizeRequestSchema } from '../../../../contract/tokenize.js';
import { addRoute } from '../../../route.js';
import type { HttpServices } from '../../../services.js';

/** `POST /v1/tokenize` */
export function tokenizeRoutes(app: FastifyInstance, { limits, models }: HttpServices): void {
  addRoute(app, {
    method: 'POST',
    url: '/v1/tokenize',
    scope: 'classify',
    summary: 'What a model sees of a text: ids, tokens and their places',
    tag: 'models',
    body: tokenizeRequestSchema(limits.maxInputs),
    replies: { 200: tokenizedSchema },
    handle: ({ body: { model, inputs } }) =>
      models.tokenize(model, typeof inputs === 'string' ? [inputs] : inputs),
  });
}
