import { availableParallelism } from 'node:os';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type {
  teiInfoSchema,
  teiPredictSchema,
  teiRanksSchema,
  teiRerankSchema,
  teiTokenizeSchema,
} from '../../../contract/doors/tei.js';
import type { Static } from '../../../contract/schema/schema.js';
import { PlimsollError } from '../../../errors.js';
import type { LabelScore } from '../../../inference/row-task.js';
import type { SessionAnswer } from '../../../sessions/service.js';
import type { TextInput } from '../../../tasks/input.js';
import { bestFirst } from '../../../tasks/rerank.js';
import { asProbability, type ScoreChoice } from '../../../tasks/score-choice.js';
import { VERSION } from '../../../version.js';
import { whileWanted } from '../../calls/caller-abort.js';
import type { Calls } from '../../calls/calls.js';
import { anyTextsIn, oneOrMore, textIn } from '../../calls/fields.js';
import { JSON_TYPE, jsonReply } from '../../calls/json.js';
import { jsonSlices } from '../../calls/json-slices.js';
import { LabelLists } from '../../calls/label-lists.js';
import { LARGE_ANSWER_SCORES, slicedBody } from '../../calls/slices.js';
import type { JsonText } from '../../route.js';
import type { HttpServices, ModelFacts } from '../../services.js';
import { EmptyBatch } from './errors.js';
import { predicted } from './inputs.js';
import { teiTokens } from './tokens.js';
import { checkTruncation, sideWanted } from './truncation.js';

type Reply = JsonText<unknown> | FastifyReply;

type Ranks = JsonText<Static<typeof teiRanksSchema>>;

/** Answers of one model, each in TEI's shape. `model`: undefined for the default one. */
export class TeiAnswers {
  readonly #services: HttpServices;
  readonly #calls: Calls;
  readonly #lists = new LabelLists();

  constructor(services: HttpServices, calls: Calls) {
    this.#services = services;
    this.#calls = calls;
  }

  predict(
    model: string | undefined,
    body: Static<typeof teiPredictSchema>,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Reply | Promise<Reply> {
    const { limits, classification } = this.#services;
    const { inputs, isBatch } = predicted(body.inputs, limits.maxInputs);
    const truncationSide = sideWanted(body);
    const how = { inputs, topK: undefined, function: functionOf(body.raw_scores), truncationSide };
    return this.#calls.answer<readonly LabelScore[], Reply>(
      request,
      reply,
      { model },
      (who, stop) => classification.classify({ ...who, ...how }, stop),
      (answer, tookMs) =>
        this.#unlessCut(body, answer, () => {
          setTimes(reply, answer, tookMs, charactersOf(inputs));
          const { results } = answer;
          return isBatch
            ? this.#lists.sendAll(reply, results)
            : this.#lists.sendOne(reply, results[0] ?? []);
        }),
    );
  }

  rerank(
    model: string | undefined,
    body: Static<typeof teiRerankSchema>,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Ranks | Promise<Ranks> {
    if (body.texts.length === 0) throw new EmptyBatch('texts');
    const query = textIn(body.query, 'query');
    const { limits, classification } = this.#services;
    const documents = anyTextsIn(body.texts, 'texts', limits.maxInputs);
    const truncationSide = sideWanted(body);
    const how = { query, documents, function: functionOf(body.raw_scores), truncationSide };
    return this.#calls.answer<number, Ranks>(
      request,
      reply,
      { model },
      (who, stop) => classification.rerank({ ...who, ...how }, stop),
      (answer, tookMs) =>
        this.#unlessCut(body, answer, () => {
          setTimes(reply, answer, tookMs, charactersOf(documents) + query.length);
          const ranks: Static<typeof teiRanksSchema> = bestFirst(answer.results);
          if (body.return_text !== true) return jsonReply(reply, ranks);
          return jsonReply(
            reply,
            ranks.map((rank) => ({ ...rank, text: documents[rank.index] ?? '' })),
          );
        }),
    );
  }

  async tokenize(
    model: string | undefined,
    body: Static<typeof teiTokenizeSchema>,
    request: FastifyRequest,
    reply: FastifyReply,
  ) {
    const { models, limits } = this.#services;
    if (Array.isArray(body.inputs) && body.inputs.length === 0) throw new EmptyBatch('inputs');
    const inputs = oneOrMore(body.inputs, 'inputs', limits.maxInputs);
    await this.#calls.takeOf(request, reply)?.(inputs.length);
    const { id } = await models.facts(model);
    // All of them: here TEI cuts nothing, and clients count tokens to cut texts themselves.
    const { texts } = await whileWanted(request, limits.deadlineMs, (stop) =>
      models.tokenize(id, inputs, stop, true),
    );
    const withSpecial = body.add_special_tokens !== false;
    const lists = texts.map((of, index) => teiTokens(inputs[index] ?? '', of, withSpecial));
    const tokens = texts.reduce((sum, { ids }) => sum + ids.length, 0);
    if (tokens <= LARGE_ANSWER_SCORES) return lists.map((list) => [...list]);
    return reply.type(JSON_TYPE).send(slicedBody(jsonSlices(lists)));
  }

  async info(model: string | undefined): Promise<Static<typeof teiInfoSchema>> {
    const { models, limits } = this.#services;
    const { id, labels, dtype, maxTokens } = await models.facts(model);
    const { origin } = await models.show(id);
    const of = {
      id2label: Object.fromEntries(labels.map((label, index) => [String(index), label])),
      label2id: Object.fromEntries(labels.map((label, index) => [label, index])),
    };
    return {
      model_id: id,
      model_sha: origin?.commit ?? null,
      model_dtype: DTYPES[dtype] ?? dtype,
      model_type: labels.length === 1 ? { reranker: of } : { classifier: of },
      max_concurrent_requests: limits.maxConnections,
      max_input_length: maxTokens,
      // A text of any length that the model takes runs, if need be alone.
      max_batch_tokens: Math.max(maxTokens, limits.batch.maxTokens),
      max_batch_requests: limits.batch.maxItems,
      max_client_batch_size: limits.maxInputs,
      auto_truncate: true,
      tokenization_workers: availableParallelism(),
      version: VERSION,
      sha: null,
      docker_label: null,
    };
  }

  /** @throws PlimsollError SHUTTING_DOWN where the server takes no requests now */
  health(): void {
    const reason = this.#services.notReadyBecause();
    if (reason !== '') throw new PlimsollError('SHUTTING_DOWN', reason, { retryAfterSeconds: 1 });
  }

  /** The same for one model. @throws PlimsollError MODEL_NOT_FOUND; MODEL_UNUSABLE if it cannot be served */
  async healthOf(id: string): Promise<void> {
    this.health();
    const { state, reason } = await this.#services.models.show(id);
    if (state === 'broken') throw new PlimsollError('MODEL_UNUSABLE', reason ?? `${id} is broken`);
  }

  /** Checks what was cut; the facts of a model that has just answered are nearly always there. */
  #unlessCut<T>(
    body: Parameters<typeof checkTruncation>[0],
    { model, truncated }: SessionAnswer<unknown>,
    write: () => T,
  ): T | Promise<T> {
    if (!truncated.includes(true)) return write();
    const go = ({ maxTokens }: ModelFacts) => {
      checkTruncation(body, truncated, maxTokens);
      return write();
    };
    const facts = this.#services.models.facts(model);
    return facts instanceof Promise ? facts.then(go) : go(facts);
  }
}

const DTYPES: Readonly<Record<string, string>> = {
  fp32: 'float32',
  fp16: 'float16',
  bf16: 'bfloat16',
  fp64: 'float64',
  q8: 'int8',
  q4: 'int4',
};

function functionOf(rawScores: boolean | undefined): ScoreChoice {
  return rawScores === true ? 'none' : asProbability;
}

function charactersOf(inputs: readonly TextInput[]): number {
  let sum = 0;
  for (const input of inputs) {
    sum += typeof input === 'string' ? input.length : input.text.length + input.text_pair.length;
  }
  return sum;
}

/** TEI's headers: whole milliseconds, and characters. */
function setTimes(
  reply: FastifyReply,
  { timing: { queueMs, tokenizeMs, runMs } }: SessionAnswer<unknown>,
  tookMs: number,
  characters: number,
): void {
  const took = String(Math.round(tookMs));
  void reply.headers({
    'x-compute-type': 'cpu',
    'x-compute-time': took,
    'x-compute-characters': String(characters),
    'x-total-time': took,
    'x-tokenization-time': String(Math.round(tokenizeMs)),
    'x-queue-time': String(Math.round(queueMs)),
    'x-inference-time': String(Math.round(runMs)),
  });
}
