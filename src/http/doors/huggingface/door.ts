import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  type HfRequest,
  hfErrorSchema,
  hfReplySchema,
  hfRequestSchema,
} from '../../../contract/doors/hugging-face.js';
import { object, text } from '../../../contract/schema/schema.js';
import type { LabelScore } from '../../../inference/row-task.js';
import type { Entity } from '../../../models/run/entities.js';
import type { Calls } from '../../calls/calls.js';
import { jsonReply } from '../../calls/json.js';
import { LabelLists } from '../../calls/label-lists.js';
import { addRoute, type JsonText } from '../../route.js';
import type { HttpServices, ModelFacts } from '../../services.js';
import type { Door } from '../door.js';
import { hfErrors } from './errors.js';
import { type Question, questionOf } from './question.js';

/** Hugging Face's inference: what `@huggingface/inference` and `huggingface_hub` speak. */
export const huggingFace: Door = {
  name: 'huggingface',
  errors: hfErrors,
  prefixes: ['/models', '/hf'],
  open: (app, services, calls) => {
    const ask = asking(services, calls);
    const common = {
      method: 'POST',
      scope: 'classify',
      tag: 'Hugging Face',
      body: hfRequestSchema,
      replies: { 200: hfReplySchema },
      errors: hfErrorSchema,
    } as const;
    // Ids hold slashes.
    for (const url of ['/models/*', '/hf/*']) {
      addRoute(app, {
        ...common,
        url,
        summary: 'Ask a model ({id}): text, zero-shot or token classification',
        path: object({ '*': text({ minLength: 1, maxLength: 600 }) }),
        handle: (request, reply) => ask(request.params['*'], request.body, request, reply),
      });
    }
    addRoute(app, {
      ...common,
      url: '/',
      summary: 'Ask the default model, as an endpoint’s address does',
      handle: (request, reply) => ask(undefined, request.body, request, reply),
    });
  },
};

type Reply = JsonText<unknown> | FastifyReply;

function asking({ models, classification, limits }: HttpServices, calls: Calls) {
  const lists = new LabelLists();

  const put = (question: Question, id: string, request: FastifyRequest, reply: FastifyReply) => {
    const named = { model: id };
    const { isList } = question;
    if (question.kind === 'text-classification') {
      const { inputs, topK, function: own } = question;
      return calls.answer<readonly LabelScore[], Reply>(
        request,
        reply,
        named,
        (who, stop) => classification.classify({ ...who, inputs, topK, function: own }, stop),
        // Nested, also for one text.
        ({ results }) => lists.sendAll(reply, results),
      );
    }
    if (question.kind === 'zero-shot-classification') {
      return calls.answer<readonly LabelScore[], Reply>(
        request,
        reply,
        named,
        (who, stop) => classification.zeroShot({ ...who, ...question }, stop),
        ({ results }) =>
          isList ? lists.sendAll(reply, results) : lists.sendOne(reply, results[0] ?? []),
      );
    }
    return calls.answer<readonly Entity[], Reply>(
      request,
      reply,
      named,
      (who, stop) => classification.tokens({ ...who, ...question }, stop),
      ({ results }) => {
        const shown = results.map((found) =>
          found.map((entity) => shownEntity(entity, question.aggregation)),
        );
        return jsonReply(reply, isList ? shown : (shown[0] ?? []));
      },
    );
  };

  return (
    id: string | undefined,
    { inputs, parameters = {} }: HfRequest,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Reply | Promise<Reply> => {
    const go = (facts: ModelFacts) => {
      const question = questionOf(inputs, parameters ?? {}, facts, limits.maxInputs);
      return put(question, facts.id, request, reply);
    };
    const facts = models.facts(id);
    return facts instanceof Promise ? facts.then(go) : go(facts);
  };
}

/** As the pipeline names it: the label of a token, or of a group of tokens. */
function shownEntity({ label, score, word, start, end, index }: Entity, aggregation: string) {
  return aggregation === 'none'
    ? { entity: label, score, index, word, start, end }
    : { entity_group: label, score, word, start, end };
}
