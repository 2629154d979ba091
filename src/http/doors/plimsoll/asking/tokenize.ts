import type { FastifyInstance } from 'fastify';
import { tokenizedSchema, tokenizeRequestSchema } from '../../../../contract/tokenize.js';
import { whileWanted } from '../../../calls/caller-stop.js';
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
    handle: (request) => {
      const { model, inputs } = request.body;
      const texts = typeof inputs === 'string' ? [inputs] : inputs;
      return whileWanted(request, limits.deadlineMs, (stop) => models.tokenize(model, texts, stop));
    },
  });
}
