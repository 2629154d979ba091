import type { FastifyInstance } from 'fastify';
import {
  rerankAnswerSchema,
  rerankRequestSchema,
  tokenClassificationAnswerSchema,
  tokenClassificationRequestSchema,
  zeroShotAnswerSchema,
  zeroShotRequestSchema,
} from '../../../../contract/doors/tasks.js';
import { toMs } from '../../../../contract/units.js';
import type { SessionAnswer } from '../../../../sessions/service.js';
import { bestFirst } from '../../../../tasks/rerank.js';
import type { Calls } from '../../../calls/calls.js';
import { addRoute } from '../../../route.js';
import type { HttpServices } from '../../../services.js';

const scope = 'classify';
const tag = 'classification';

/** `/v1/zero-shot-classification`, `/v1/reranking`, `/v1/token-classification` */
export function taskRoutes(app: FastifyInstance, services: HttpServices, calls: Calls): void {
  zeroShotRoute(app, services, calls);
  rerankRoute(app, services, calls);
  tokenRoute(app, services, calls);
}

function zeroShotRoute(app: FastifyInstance, services: HttpServices, calls: Calls): void {
  const { classification, limits } = services;
  addRoute(app, {
    method: 'POST',
    url: '/v1/zero-shot-classification',
    scope,
    summary: 'Classify with labels that the model was not trained for',
    tag,
    body: zeroShotRequestSchema(limits.maxInputs),
    replies: { 200: zeroShotAnswerSchema },
    handle: (request, reply) => {
      const { inputs, model, session, user, ...asked } = request.body;
      const ask = {
        texts: listOf(inputs),
        candidateLabels: asked.candidate_labels,
        hypothesisTemplate: asked.hypothesis_template,
        multiLabel: asked.multi_label,
      };
      return calls.answer(
        request,
        reply,
        { model, session, user },
        (who, stop) => classification.zeroShot({ ...who, ...ask }, stop),
        (answer, tookMs) => ({ ...shown(answer, tookMs), results: answer.results }),
      );
    },
  });
}

function rerankRoute(app: FastifyInstance, services: HttpServices, calls: Calls): void {
  const { classification, limits } = services;
  addRoute(app, {
    method: 'POST',
    url: '/v1/reranking',
    scope,
    summary: 'Sort documents by how well they answer a query',
    tag,
    body: rerankRequestSchema(limits.maxInputs),
    replies: { 200: rerankAnswerSchema },
    handle: (request, reply) => {
      const { query, documents, top_k: topK, raw_scores: isRaw, ...named } = request.body;
      const ask = { query, documents, function: isRaw === true ? ('none' as const) : undefined };
      return calls.answer(
        request,
        reply,
        { ...named, model: named.model },
        (who, stop) => classification.rerank({ ...who, ...ask }, stop),
        (answer, tookMs) => ({
          ...shown(answer, tookMs),
          results: bestFirst(answer.results).slice(0, topK),
        }),
      );
    },
  });
}

function tokenRoute(app: FastifyInstance, services: HttpServices, calls: Calls): void {
  const { classification, limits } = services;
  addRoute(app, {
    method: 'POST',
    url: '/v1/token-classification',
    scope,
    summary: 'Find the named things of a text, with their places',
    tag,
    body: tokenClassificationRequestSchema(limits.maxInputs),
    replies: { 200: tokenClassificationAnswerSchema },
    handle: (request, reply) => {
      const { inputs, model, session, user, stride, ...asked } = request.body;
      const ask = {
        texts: listOf(inputs),
        aggregation: asked.aggregation_strategy,
        ignoreLabels: asked.ignore_labels,
        stride,
      };
      return calls.answer(
        request,
        reply,
        { model, session, user },
        (who, stop) => classification.tokens({ ...who, ...ask }, stop),
        (answer, tookMs) => ({ ...shown(answer, tookMs), results: answer.results }),
      );
    },
  });
}

function listOf(inputs: string | readonly string[]): readonly string[] {
  return typeof inputs === 'string' ? [inputs] : inputs;
}

/** What all answers have, but for their results. */
function shown(answer: SessionAnswer<unknown>, totalMs: number) {
  const { model, session, user, truncated, cached, timing } = answer;
  const { queueMs, tokenizeMs, runMs } = timing;
  return {
    ...{ model, session, user, truncated, cached },
    timing: {
      ...{ queue_ms: toMs(queueMs), tokenize_ms: toMs(tokenizeMs) },
      ...{ run_ms: toMs(runMs), total_ms: toMs(totalMs) },
    },
  };
}
