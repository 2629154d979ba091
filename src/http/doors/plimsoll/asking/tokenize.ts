import type { FastifyInstance, FastifyReply } from 'fastify';
import {
  type Tokenized,
  tokenizedSchema,
  tokenizeRequestSchema,
} from '../../../../contract/tokenize.js';
import type { TokenizedTexts } from '../../../../inference/tokenize.js';
import type { TokenizedText } from '../../../../inference/workers/protocol.js';
import { whileWanted } from '../../../calls/caller-abort.js';
import type { Calls } from '../../../calls/calls.js';
import { JSON_TYPE } from '../../../calls/json.js';
import { objectSlices } from '../../../calls/json-slices.js';
import { LARGE_ANSWER_SCORES, slicedBody } from '../../../calls/slices.js';
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
      const found = await whileWanted(request, limits.deadlineMs, (stop) =>
        models.tokenize(model, texts, stop),
      );
      return shown(found, reply);
    },
  });
}

function shown(
  { model, maxTokens, tokenizer, texts }: TokenizedTexts,
  reply: FastifyReply,
): Tokenized | FastifyReply {
  const head = { model, max_tokens: maxTokens, tokenizer };
  const tokens = texts.reduce((sum, { ids }) => sum + ids.length, 0);
  if (tokens <= LARGE_ANSWER_SCORES) return { ...head, results: texts.map(shownText) };
  return reply.type(JSON_TYPE).send(slicedBody(objectSlices(head, 'results', eachShown(texts))));
}

function* eachShown(texts: readonly TokenizedText[]): Generator<Tokenized['results'][number]> {
  for (const text of texts) yield shownText(text);
}

function shownText({ ids, tokens, offsets, truncated }: TokenizedText) {
  const places: [number, number][] = [];
  for (let at = 0; at < offsets.length; at += 2) {
    places.push([offsets[at] ?? 0, offsets[at + 1] ?? 0]);
  }
  return { ids, tokens, offsets: places, count: ids.length, truncated };
}
