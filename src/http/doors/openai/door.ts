import { randomUUID } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  moderationReplySchema,
  moderationRequestSchema,
  openAiErrorSchema,
  openAiModelSchema,
  openAiModelsSchema,
} from '../../../contract/doors/openai.js';
import { object, type Static, text } from '../../../contract/schema/schema.js';
import { PlimsollError } from '../../../errors.js';
import type { LabelScore } from '../../../inference/row-task.js';
import type { Calls } from '../../calls/calls.js';
import { jsonReply } from '../../calls/json.js';
import { addRoute, type JsonText } from '../../route.js';
import type { HttpServices, ModelFacts } from '../../services.js';
import type { Door } from '../door.js';
import { openAiErrors } from './errors.js';
import { moderated, moderatedTexts, moderationsOf } from './moderations.js';

const tag = 'OpenAI';
const common = { tag, errors: openAiErrorSchema } as const;

/** OpenAI's moderations: a model's labels as OpenAI's categories. */
export const openAi: Door = {
  name: 'openai',
  errors: openAiErrors,
  prefixes: ['/openai', '/v1/moderations'],
  open: (app, services, calls) => {
    const { models } = services;
    const moderate = moderating(services, calls);
    for (const url of ['/v1/moderations', '/openai/v1/moderations']) {
      addRoute(app, {
        ...common,
        method: 'POST',
        url,
        scope: 'classify',
        summary: 'Which categories texts belong to',
        body: moderationRequestSchema,
        replies: { 200: moderationReplySchema },
        handle: (request, reply) => moderate(request.body, request, reply),
      });
    }
    const created = Math.round(Date.now() / 1000);
    const shown = (id: string) => ({
      ...{ id, object: 'model' as const, created },
      owned_by: 'plimsoll',
    });
    addRoute(app, {
      ...common,
      method: 'GET',
      url: '/openai/v1/models',
      scope: 'classify',
      summary: 'The models that can be used',
      replies: { 200: openAiModelsSchema },
      handle: async () => {
        const usable = (await models.list()).filter(({ state }) => state !== 'broken');
        return { object: 'list' as const, data: usable.map(({ id }) => shown(id)) };
      },
    });
    // Ids hold slashes.
    addRoute(app, {
      ...common,
      method: 'GET',
      url: '/openai/v1/models/*',
      scope: 'classify',
      summary: 'One model ({id})',
      path: object({ '*': text() }),
      replies: { 200: openAiModelSchema },
      handle: async ({ params }) => {
        if (params['*'] === '') throw new PlimsollError('MODEL_NOT_FOUND', 'the id is empty');
        return shown((await models.facts(params['*'])).id);
      },
    });
  },
};

type Reply = JsonText<Static<typeof moderationReplySchema>>;

function moderating({ models, classification, limits }: HttpServices, calls: Calls) {
  return (
    { input, model }: Static<typeof moderationRequestSchema>,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Reply | Promise<Reply> => {
    const { texts: inputs, areParts } = moderatedTexts(input, limits.maxInputs);
    const go = (facts: ModelFacts) => {
      const moderations = moderationsOf(facts);
      // Labels below their own threshold are assessed all the same.
      const how = { inputs, topK: undefined, threshold: Number.NEGATIVE_INFINITY };
      return calls.answer<readonly LabelScore[], Reply>(
        request,
        reply,
        { model: facts.id },
        (who, stop) => classification.classify({ ...who, ...how }, stop),
        ({ model: id, results }) =>
          jsonReply(reply, {
            id: `modr-${randomUUID().replaceAll('-', '')}`,
            model: id,
            // Parts of one input are assessed as one: of each category the highest score counts.
            results: (areParts ? [results.flat()] : results).map((scores) =>
              moderated(scores, moderations),
            ),
          }),
      );
    };
    const facts = models.facts(model ?? undefined);
    return facts instanceof Promise ? facts.then(go) : go(facts);
  };
}
