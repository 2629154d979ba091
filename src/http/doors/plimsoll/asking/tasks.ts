import type { FastifyInstance, FastifyReply } from 'fastify';
import {
  rerankAnswerSchema,
  rerankRequestSchema,
  tokenClassificationAnswerSchema,
  tokenClassificationRequestSchema,
  zeroShotAnswerSchema,
  zeroShotRequestSchema,
} from '../../../../contract/doors/tasks.js';
import type { Schema } from '../../../../contract/schema/schema.js';
import { toMs } from '../../../../contract/units.js';
import type { Asked, SessionAnswer } from '../../../../sessions/service.js';
import { bestFirst } from '../../../../tasks/rerank.js';
import type { CallerAbort } from '../../../calls/caller-abort.js';
import type { Calls, Named } from '../../../calls/calls.js';
import { JSON_TYPE } from '../../../calls/json.js';
import { countOf, objectSlices } from '../../../calls/json-slices.js';
import { LARGE_ANSWER_SCORES, slicedBody } from '../../../calls/slices.js';
import { addRoute } from '../../../route.js';
import type { HttpServices } from '../../../services.js';

/** `/v1/zero-shot-classification`, `/v1/reranking`, `/v1/token-classification` */
export function taskRoutes(
  app: FastifyInstance,
  { classification, limits }: HttpServices,
  calls: Calls,
): void {
  taskRoute(app, calls, {
    url: '/v1/zero-shot-classification',
    summary: 'Classify with labels that the model was not trained for',
    body: zeroShotRequestSchema(limits.maxInputs),
    reply: zeroShotAnswerSchema,
    ask: (body, who, stop) => {
      const asked = {
        texts: listOf(body.inputs),
        candidateLabels: body.candidate_labels,
        hypothesisTemplate: body.hypothesis_template,
        multiLabel: body.multi_label,
      };
      return classification.zeroShot({ ...who, ...asked }, stop);
    },
    results: ({ results }) => results,
  });
  taskRoute(app, calls, {
    url: '/v1/reranking',
    summary: 'Sort documents by how well they answer a query',
    body: rerankRequestSchema(limits.maxInputs),
    reply: rerankAnswerSchema,
    ask: ({ query, documents, raw_scores: isRaw }, who, stop) => {
      const own = isRaw === true ? ('none' as const) : undefined;
      return classification.rerank({ ...who, query, documents, function: own }, stop);
    },
    results: ({ results }, { top_k: topK }) => bestFirst(results).slice(0, topK),
  });
  taskRoute(app, calls, {
    url: '/v1/token-classification',
    summary: 'Find the named entities of a text, with their places',
    body: tokenClassificationRequestSchema(limits.maxInputs),
    reply: tokenClassificationAnswerSchema,
    ask: (body, who, stop) => {
      const asked = {
        texts: listOf(body.inputs),
        aggregation: body.aggregation_strategy,
        ignoreLabels: body.ignore_labels,
        stride: body.stride,
      };
      return classification.tokens({ ...who, ...asked }, stop);
    },
    results: ({ results }) => results,
  });
}

type Shown<T> = ReturnType<typeof shown> & { readonly results: T };

/** `B`: the body. `R`: one answer of the task. `T`: the results as they are shown. */
interface TaskRoute<B, R, T> {
  readonly url: string;
  readonly summary: string;
  readonly body: Schema<B>;
  readonly reply: Schema<Shown<T>>;
  readonly ask: (
    body: B,
    who: Asked,
    stop: CallerAbort,
  ) => SessionAnswer<R> | Promise<SessionAnswer<R>>;
  readonly results: (answer: SessionAnswer<R>, body: B) => T;
}

function taskRoute<B extends Partial<Named>, R, T extends readonly unknown[]>(
  app: FastifyInstance,
  calls: Calls,
  { url, summary, body: schema, reply: shownSchema, ask, results }: TaskRoute<B, R, T>,
): void {
  addRoute(app, {
    method: 'POST',
    url,
    scope: 'classify',
    summary,
    tag: 'classification',
    body: schema,
    replies: { 200: shownSchema },
    handle: (request, reply) => {
      // The schema has checked it; fastify's type of it says nothing before B is known.
      const body = request.body as B;
      const { model, session, user } = body;
      return calls.answer<R, Shown<T> | FastifyReply>(
        request,
        reply,
        { model, session, user },
        (who, stop) => ask(body, who, stop),
        (answer, tookMs) => {
          const [head, all] = [shown(answer, tookMs), results(answer, body)];
          if (countOf(all) <= LARGE_ANSWER_SCORES) return { ...head, results: all };
          return reply.type(JSON_TYPE).send(slicedBody(objectSlices(head, 'results', all)));
        },
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
