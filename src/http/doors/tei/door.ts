import type { FastifyInstance } from 'fastify';
import {
  teiAnyReplySchema,
  teiAnySchema,
  teiAnyViewSchema,
  teiErrorSchema,
  teiHealthSchema,
  teiInfoSchema,
  teiPredictReplySchema,
  teiPredictSchema,
  teiRanksSchema,
  teiRerankSchema,
  teiTokenizeSchema,
  teiTokensSchema,
} from '../../../contract/doors/tei.js';
import { object, text } from '../../../contract/schema/schema.js';
import { PlimsollError } from '../../../errors.js';
import { jsonReply } from '../../calls/json.js';
import { addRoute } from '../../route.js';
import { checkedBody, sharedRoute } from '../../shared-addresses.js';
import type { Door } from '../door.js';
import { TeiAnswers } from './answers.js';
import { teiErrors } from './errors.js';

const tag = 'TEI';
const common = { tag, errors: teiErrorSchema } as const;

/**
 * text-embeddings-inference: at the root and below `/tei` for the default model, and below `/tei/{id}` for any other,
 * as its clients know one address and no names of models.
 */
export const tei: Door = {
  name: 'tei',
  errors: teiErrors,
  prefixes: ['/tei', '/predict', '/info', '/tokenize'],
  health: ['/health', '/tei/health', '/tei/{id}/health'],
  replyHeaders: [
    ...['x-compute-type', 'x-compute-time', 'x-compute-characters', 'x-total-time'],
    ...['x-tokenization-time', 'x-queue-time', 'x-inference-time'],
  ],
  open: (app, services, calls) => {
    const answers = new TeiAnswers(services, calls);
    for (const base of ['', '/tei']) routesOfDefault(app, base, answers);
    addRoute(app, {
      ...{ ...common, ...ranks },
      method: 'POST',
      url: '/tei/rerank',
      scope: 'classify',
      handle: (request, reply) => answers.rerank(undefined, request.body, request, reply),
    });
    routesOfAnyModel(app, answers);
  },
  shared: (services, calls) => {
    const answers = new TeiAnswers(services, calls);
    const route = sharedRoute(
      {
        ...{ tag, ...ranks },
        method: 'POST',
        url: '/rerank',
        scope: 'classify',
        handle: (request, reply) => answers.rerank(undefined, request.body, request, reply),
      },
      'texts',
    );
    return [route];
  },
};

const ranks = {
  summary: 'Rank texts by a query',
  body: teiRerankSchema,
  replies: { 200: teiRanksSchema },
} as const;

function routesOfDefault(app: FastifyInstance, base: string, answers: TeiAnswers): void {
  addRoute(app, {
    ...common,
    method: 'POST',
    url: `${base}/predict`,
    scope: 'classify',
    summary: 'Classify a text, a pair of texts, or a batch of such',
    body: teiPredictSchema,
    replies: { 200: teiPredictReplySchema },
    handle: (request, reply) => answers.predict(undefined, request.body, request, reply),
  });
  addRoute(app, {
    ...common,
    method: 'POST',
    url: `${base}/tokenize`,
    scope: 'classify',
    summary: 'What the model sees of texts',
    body: teiTokenizeSchema,
    replies: { 200: teiTokensSchema },
    handle: (request, reply) => answers.tokenize(undefined, request.body, request, reply),
  });
  addRoute(app, {
    ...common,
    method: 'GET',
    url: `${base}/info`,
    scope: 'classify',
    summary: 'The model, and what it takes',
    replies: { 200: teiInfoSchema },
    handle: () => answers.info(undefined),
  });
  addRoute(app, {
    ...common,
    method: 'GET',
    url: `${base}/health`,
    scope: 'open',
    summary: 'Empty: requests are taken',
    replies: { 200: teiHealthSchema },
    handle: async (_request, reply) => {
      answers.health();
      return reply.send();
    },
  });
}

/** Ids hold slashes, which the router allows at an address's end only. */
const ANY_MODEL = '/tei/*';

function routesOfAnyModel(app: FastifyInstance, answers: TeiAnswers): void {
  const path = object({ '*': text() });
  addRoute(app, {
    ...{ ...common, path },
    method: 'POST',
    url: ANY_MODEL,
    scope: 'classify',
    summary: 'The same of another model: {id}/predict, {id}/rerank, {id}/tokenize',
    bodyCheckedByHandler: teiAnySchema,
    replies: { 200: teiAnyReplySchema },
    handle: async (request, reply) => {
      const [, id, what] = /^(.+)\/(predict|rerank|tokenize)$/.exec(request.params['*']) ?? [];
      if (id === undefined) throw noSuch('/tei/{id}/predict, …/rerank and …/tokenize');
      if (what === 'predict') {
        return answers.predict(id, checkedBody(request, teiPredictSchema), request, reply);
      }
      if (what === 'rerank') {
        return answers.rerank(id, checkedBody(request, teiRerankSchema), request, reply);
      }
      const body = checkedBody(request, teiTokenizeSchema);
      return jsonReply(reply, await answers.tokenize(id, body, request, reply));
    },
  });
  addRoute(app, {
    ...{ ...common, path },
    method: 'GET',
    url: ANY_MODEL,
    scope: 'classify',
    summary: 'The same of another model: {id}/info, {id}/health',
    replies: { 200: teiAnyViewSchema },
    handle: async (request, reply) => {
      const [, id, what] = /^(.+)\/(info|health)$/.exec(request.params['*']) ?? [];
      if (id === undefined) throw noSuch('/tei/{id}/info and …/health');
      if (what === 'info') return jsonReply(reply, await answers.info(id));
      await answers.healthOf(id);
      return reply.send();
    },
  });
}

function noSuch(addresses: string): PlimsollError {
  return new PlimsollError('NOT_FOUND', `the addresses of a model are ${addresses}`);
}
