import type { FastifyInstance } from 'fastify';
import { commonErrors, tokenizedSchema, tokenizeSchema } from '../../schemas.js';
import type { HttpServices } from '../../services.js';
import { tokenizedToWire } from '../../wire.js';

interface TokenizeBody {
  readonly model: string;
  readonly inputs: string | readonly string[];
}

/** `POST /v1/tokenize` */
export function tokenizeRoutes(app: FastifyInstance, { limits, models }: HttpServices): void {
  app.post<{ Body: TokenizeBody }>(
    '/v1/tokenize',
    {
      schema: {
        summary: 'What a model sees of a text: ids, tokens and their places',
        tags: ['models'],
        body: tokenizeSchema(limits.maxInputs),
        response: { 200: tokenizedSchema, ...commonErrors },
      },
    },
    async ({ body: { model, inputs } }) => {
      const texts = typeof inputs === 'string' ? [inputs] : inputs;
      return tokenizedToWire(await models.tokenize(model, texts));
    },
  );
}
