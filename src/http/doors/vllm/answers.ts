import { randomUUID } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type {
  vllmClassifyReplySchema,
  vllmClassifySchema,
  vllmRerankReplySchema,
  vllmRerankSchema,
  vllmScoreReplySchema,
  vllmScoreSchema,
} from '../../../contract/doors/vllm.js';
import type { Static } from '../../../contract/schema/schema.js';
import { PlimsollError } from '../../../errors.js';
import type { LabelScore } from '../../../inference/row-task.js';
import type { SessionAnswer } from '../../../sessions/service.js';
import { bestFirst } from '../../../tasks/rerank.js';
import type { Calls } from '../../calls/calls.js';
import { oneOrMore, textIn } from '../../calls/fields.js';
import { JSON_TYPE, jsonReply } from '../../calls/json.js';
import { countOf, objectSlices } from '../../calls/json-slices.js';
import { LARGE_ANSWER_SCORES, slicedBody } from '../../calls/slices.js';
import type { JsonText } from '../../route.js';
import type { HttpServices, ModelFacts } from '../../services.js';
import { documentsIn, functionOf, scoredPairs } from './inputs.js';

type Text<S> = JsonText<Static<S>>;
/** A large one is written in slices. */
type Classified = Text<typeof vllmClassifyReplySchema> | FastifyReply;
type Answered<S> = Text<S> | Promise<Text<S>>;

/** Answers in vLLM's shapes. */
export class VllmAnswers {
  readonly #services: HttpServices;
  readonly #calls: Calls;

  constructor(services: HttpServices, calls: Calls) {
    this.#services = services;
    this.#calls = calls;
  }

  classify(
    body: Static<typeof vllmClassifySchema>,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Classified | Promise<Classified> {
    const { limits, classification } = this.#services;
    const inputs = oneOrMore(body.input, 'input', limits.maxInputs);
    const how = { inputs, topK: undefined, isByIndex: true };
    const own = functionOf(body);
    return this.#calls.answer<readonly LabelScore[], Classified>(
      request,
      reply,
      { model: body.model ?? undefined },
      (who, stop) => classification.classify({ ...who, ...how, function: own }, stop),
      ({ model, results }) => {
        const of = { ...head('classify', model), object: 'list' as const };
        if (countOf(results) <= LARGE_ANSWER_SCORES) {
          return jsonReply(reply, { ...of, data: [...classified(results)] });
        }
        const slices = objectSlices(of, 'data', classified(results));
        return reply.type(JSON_TYPE).send(slicedBody(slices));
      },
    );
  }

  score(
    body: Static<typeof vllmScoreSchema>,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Answered<typeof vllmScoreReplySchema> {
    const { limits, classification, models } = this.#services;
    const inputs = scoredPairs(body.text_1, body.text_2, limits.maxInputs);
    const how = { inputs, topK: undefined, threshold: Number.NEGATIVE_INFINITY };
    const own = functionOf(body);
    const go = ({ id, labels }: ModelFacts) => {
      if (labels.length > 1) throw severalScores(id, labels);
      return this.#calls.answer<readonly LabelScore[], Text<typeof vllmScoreReplySchema>>(
        request,
        reply,
        { model: id },
        (who, stop) => classification.classify({ ...who, ...how, function: own }, stop),
        ({ model, results }) => {
          const data = results.map(([first], index) => {
            return { index, object: 'score' as const, score: first?.score ?? 0 };
          });
          return jsonReply(reply, { ...head('score', model), object: 'list' as const, data });
        },
      );
    };
    const facts = models.facts(body.model ?? undefined);
    return facts instanceof Promise ? facts.then(go) : go(facts);
  }

  rerank(
    body: Static<typeof vllmRerankSchema>,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Answered<typeof vllmRerankReplySchema> {
    const { limits, classification } = this.#services;
    const query = textIn(body.query, 'query');
    const documents = documentsIn(body.documents, limits.maxInputs);
    const own = functionOf(body);
    return this.#calls.answer<number, Text<typeof vllmRerankReplySchema>>(
      request,
      reply,
      { model: body.model ?? undefined },
      (who, stop) => classification.rerank({ ...who, query, documents, function: own }, stop),
      (answer) => jsonReply(reply, ranked(answer, documents, body)),
    );
  }
}

/** One input after another. */
function* classified(results: readonly (readonly LabelScore[])[]) {
  for (const [index, scores] of results.entries()) {
    const probs = scores.map(({ score }) => score);
    const most = probs.reduce((best, score) => Math.max(best, score), Number.NEGATIVE_INFINITY);
    const label = scores[probs.indexOf(most)]?.label ?? '';
    yield { index, label, probs, num_classes: probs.length };
  }
}

function ranked(
  { model, results }: SessionAnswer<number>,
  documents: readonly string[],
  { top_n: most, return_documents: shown }: Static<typeof vllmRerankSchema>,
): Static<typeof vllmRerankReplySchema> {
  // 0 is all, as vLLM has it.
  const all = bestFirst(results);
  const best = most ? all.slice(0, most) : all;
  const { id, usage } = head('rerank', model);
  return {
    ...{ id, model, usage },
    results: best.map(({ index, score }) => ({
      index,
      ...(shown === false ? {} : { document: { text: documents[index] ?? '' } }),
      relevance_score: score,
    })),
  };
}

function head(what: string, model: string) {
  return {
    id: `${what}-${randomUUID().replaceAll('-', '')}`,
    created: Math.round(Date.now() / 1000),
    model,
    usage: { prompt_tokens: null, total_tokens: null },
  };
}

function severalScores(id: string, labels: readonly string[]): PlimsollError {
  const message = `the model "${id}" has ${labels.length} outputs (${labels.slice(0, 10).join(', ')}); /score takes one with a single output, such as a cross-encoder`;
  return new PlimsollError('TASK_NOT_SUPPORTED', message);
}
