import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Entity } from '../../../models/run/entities.js';
import type { Asked, SessionAnswer } from '../../../sessions/service.js';
import type { CallerAbort } from '../../calls/caller-abort.js';
import type { Calls } from '../../calls/calls.js';
import type { HttpServices } from '../../services.js';
import { IDS_OUTPUTS, TEXT_OUTPUTS, TOKEN_OUTPUTS } from './metadata.js';
import { entitiesTensor, labelTensor, logitsTensor, scoreTensor } from './outputs.js';
import { aggregationOf, functionOf, strideOf } from './parameters.js';
import { type IdsRow, INPUTS, rowsOf, type TextRow, textsAlone } from './rows.js';
import { NotSupported, type OutputTensor } from './tensors/datatypes.js';
import { outputsFor, type Part, partsOf, writeReply } from './tensors/reply.js';
import { type InferRequest, readRequest } from './tensors/request.js';

/** The length of the JSON part of a body, where bytes follow it. */
const LENGTH_HEADER = 'inference-header-content-length';
const JSON_TYPE = 'application/json; charset=utf-8';
const BINARY_TYPE = 'application/octet-stream';

/** One request on its way: what was read of it, and where its answer goes. */
interface Exchange {
  readonly model: string;
  readonly asked: InferRequest;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

type Answer<R> = SessionAnswer<R> | Promise<SessionAnswer<R>>;

/** Answers inference requests. */
export class Inference {
  readonly #services: HttpServices;
  readonly #calls: Calls;

  constructor(services: HttpServices, calls: Calls) {
    this.#services = services;
    this.#calls = calls;
  }

  /**
   * Reads the request, asks the model, and writes the reply.
   *
   * @param body as it was sent; undefined if it was empty.
   * @throws PlimsollError INVALID_REQUEST, MALFORMED_JSON, those of the task; NotSupported
   */
  answer(
    model: string,
    body: Buffer | undefined,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Sent {
    const header = request.raw.headers[LENGTH_HEADER];
    const asked = readRequest(body ?? Buffer.alloc(0), header?.toString(), INPUTS);
    const rows = rowsOf(asked, this.#services.limits.maxInputs);
    const exchange = { model, asked, request, reply };
    return then(this.#services.models.facts(model), ({ task }) => {
      if (task === 'token-classification') {
        if (rows.kind === 'ids') throw new NotSupported(NO_IDS_FOR_TOKENS);
        return this.#entities(exchange, rows.rows);
      }
      return rows.kind === 'ids'
        ? this.#logits(exchange, rows.rows)
        : this.#labels(exchange, rows.rows);
    });
  }

  #labels(exchange: Exchange, inputs: readonly TextRow[]): Sent {
    const { asked } = exchange;
    const parts = partsOf(outputsFor(asked, TEXT_OUTPUTS), ['score']);
    const own = functionOf(asked);
    // A tensor has a place for each output of the model: none is left out, and none is told by its name alone.
    const of = { inputs, function: own, topK: undefined, isByIndex: true };
    return this.#ask(
      exchange,
      parts,
      (who, stop) => this.#services.classification.classify({ ...who, ...of }, stop),
      (results, labels) => ({
        label: () => labelTensor(results),
        score: () => scoreTensor(results, labels),
      }),
    );
  }

  #logits(exchange: Exchange, rows: readonly IdsRow[]): Sent {
    const parts = partsOf(outputsFor(exchange.asked, IDS_OUTPUTS), ['logits']);
    return this.#ask(
      exchange,
      parts,
      (who, stop) => this.#services.classification.logits({ ...who, rows }, stop),
      (results, labels) => ({ logits: () => logitsTensor(results, labels.length) }),
    );
  }

  #entities(exchange: Exchange, rows: readonly TextRow[]): Sent {
    const { asked } = exchange;
    const parts = partsOf(outputsFor(asked, TOKEN_OUTPUTS), []);
    const of = {
      texts: textsAlone(rows),
      aggregation: aggregationOf(asked),
      stride: strideOf(asked),
    };
    return this.#ask<readonly Entity[]>(
      exchange,
      parts,
      (who, stop) => this.#services.classification.tokens({ ...who, ...of }, stop),
      (results) => ({ entities: () => entitiesTensor(results) }),
    );
  }

  /** @param make gives the tensor of each output by its name. */
  #ask<R>(
    { model, asked, request, reply }: Exchange,
    parts: readonly Part[],
    ask: (who: Asked, stop: CallerAbort) => Answer<R>,
    make: (
      results: readonly R[],
      labels: readonly string[],
    ) => Readonly<Record<string, () => OutputTensor>>,
  ): Sent {
    const write = (answer: SessionAnswer<R>): Sent =>
      then(this.#services.models.labels(answer.model), (labels) => {
        const tensors = make(answer.results, labels);
        const { body, jsonBytes } = writeReply(
          { model: answer.model, id: asked.id, labels },
          parts,
          tensors,
        );
        if (jsonBytes === undefined) return reply.type(JSON_TYPE).send(body);
        return reply.header(LENGTH_HEADER, jsonBytes).type(BINARY_TYPE).send(body);
      });
    return this.#calls.answer<R, FastifyReply>(request, reply, { model }, ask, write);
  }
}

const NO_IDS_FOR_TOKENS =
  'token ids are not supported for a model that classifies tokens: send text';

type Sent = FastifyReply | Promise<FastifyReply>;

/** Goes on at once with what is here already: awaiting it would cost a turn. */
function then<T>(value: T | Promise<T>, next: (value: T) => Sent): Sent {
  return value instanceof Promise ? value.then(next) : next(value);
}
