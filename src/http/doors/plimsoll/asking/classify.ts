import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import {
  answerSchema,
  type ClassifyRequest,
  classifyRequestSchema,
} from '../../../../contract/classify.js';
import type { Asked, SessionAnswer } from '../../../../sessions/service.js';
import { asPipelinesRead, type TextInput } from '../../../../tasks/input.js';
import type { TextClassification } from '../../../../tasks/text-classification.js';
import type { CallerAbort } from '../../../calls/caller-abort.js';
import type { Calls } from '../../../calls/calls.js';
import { JSON_TYPE } from '../../../calls/json.js';
import { LARGE_ANSWER_SCORES, slicedBody } from '../../../calls/slices.js';
import { addRoute } from '../../../route.js';
import type { HttpServices } from '../../../services.js';
import { AnswerText } from './answer-text.js';

/** `POST /v1/classify` */
export function classifyRoutes(app: FastifyInstance, services: HttpServices, calls: Calls): void {
  const { limits, classification } = services;
  const { callers } = calls;
  addRoute(app, {
    method: 'POST',
    url: '/v1/classify',
    scope: 'classify',
    summary: 'Classify one text, or several',
    tag: 'classification',
    body: classifyRequestSchema(limits.maxInputs),
    replies: { 200: answerSchema },
    // Not by `calls.answer`: what that costs in closures is measurable here.
    handle: (request, out) => {
      const { inputs, model, top_k: topK, function_to_apply: asked, threshold } = request.body;
      const all = allOf(inputs);
      const session = callers.sessionOf(request, request.body.session);
      // One literal: copied by a spread, V8 keeps it as a hash table, ten times as large and slower to read.
      const call: Asked & TextClassification = {
        inputs: all,
        model,
        topK,
        function: asked,
        threshold,
        session,
        user: callers.userOf(request, request.body.user),
        take: calls.takeOf(request, out),
      };
      return ask(call, request, out);
    },
  });

  const ask = (call: Asked & TextClassification, request: FastifyRequest, out: FastifyReply) => {
    const stop = calls.callerAbort(request);
    try {
      const answer = classification.classify(call, stop);
      // An answer from the in-process cache is here already; awaiting it would cost a turn.
      if (!(answer instanceof Promise)) return reply(answer, stop, out);
      return waited(answer, stop, call, out);
    } catch (error) {
      stop.clear();
      return calls.refused(error, call.session);
    }
  };

  const texts = new AnswerText();
  const reply = (answer: SessionAnswer, { beganMs }: CallerAbort, out: FastifyReply) => {
    calls.note(answer, out);
    // Fastify sends a text as it is.
    void out.header('content-type', JSON_TYPE);
    const totalMs = performance.now() - beganMs;
    if (!isLarge(answer)) return texts.of(answer, totalMs);
    return out.send(slicedBody(texts.slices(answer, totalMs)));
  };
  const waited = async (
    answer: Promise<SessionAnswer>,
    stop: CallerAbort,
    { session }: Asked,
    out: FastifyReply,
  ) => {
    try {
      return reply(await answer, stop, out);
    } catch (error) {
      return await calls.refused(error, session);
    } finally {
      stop.clear();
    }
  };
}

function isLarge({ results }: SessionAnswer): boolean {
  // Every input has as many labels.
  return results.length * (results[0]?.length ?? 0) > LARGE_ANSWER_SCORES;
}

/** The same list where all are plain texts, which is the usual case. */
function allOf(inputs: ClassifyRequest['inputs']): readonly TextInput[] {
  if (!isList(inputs)) return [asPipelinesRead(inputs)];
  for (const input of inputs) {
    if (typeof input !== 'string') return inputs.map(asPipelinesRead);
  }
  return inputs;
}

function isList(inputs: ClassifyRequest['inputs']): inputs is readonly TextInput[] {
  return Array.isArray(inputs);
}
