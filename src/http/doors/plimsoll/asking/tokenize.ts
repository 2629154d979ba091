import type { FastifyInstance } from 'fastify';
import { tokenizedSchema, tokenizeRequestSchema } from '../../../../contract/tokenize.js';
import type { Calls } from '../../../calls/calls.js';
import { addRoute } from '../../../route.js';
import type { HttpServices } from '../../../services.js';

/** `POST /v1/tokenize` */
export function tokenizeRoutes(
  app: FastifyInstance,
  { limits, models }: HttpServices,
  calls: Calls,
): void {
  addRoute(app, {
    method: 'POST',
    url: '/v1/tokenize',
    scope: 'classify',
    summary: 'What a model sees of a text: ids, tokens and their places',
    tag: 'models',
    body: tokenizeRequestSchema(limits.maxInputs),
    replies: { 200: tokenizedSchema },
    handle: async (request, reply) => {
      const { model, inputs } = request.body;
      const texts = typeof inputs === 'string' ? [inputs] : inputs;
      await calls.takeOf(request, reply)?.(texts.length);
      return models.tokenize(model, texts);
    },
  });
}
