import { createHmac } from 'node:crypto';
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import type { Abortable } from '../../../cache/abortable.js';
import { answerSchema, classifyRequestSchema } from '../../../contract/classify.js';
import { PlimsollError } from '../../../errors.js';
import { EventLoopYield } from '../../../inference/yielding.js';
import type { Asked, SessionAnswer } from '../../../sessions/service.js';
import type { TextClassification } from '../../../tasks/text-classification.js';
import { addRoute } from '../../route.js';
import type { HttpServices } from '../../services.js';
import { AnswerText } from './answer-text.js';

/** The content type that fastify sets when it serialises. */
const JSON_TYPE = 'application/json; charset=utf-8';
/** Hashed addresses that are remembered: about 100 KB. */
const KNOWN_ADDRESSES = 512;

/** `POST /v1/classify` */
export function classifyRoutes(app: FastifyInstance, services: HttpServices): void {
  const { limits, classification, metrics } = services;
  const users = new AddressUsers(services.userSecret);
  addRoute(app, {
    method: 'POST',
    url: '/v1/classify',
    scope: 'classify',
    summary: 'Classify one text, or several',
    tag: 'classification',
    body: classifyRequestSchema(limits.maxInputs),
    replies: { 200: answerSchema },
    handle: (request, out) => {
      const { inputs, model, top_k: topK, function_to_apply: asked, session, user } = request.body;
      const all = typeof inputs === 'string' ? [inputs] : inputs;
      const named = user ?? users.of(request.ip);
      const call: Asked & TextClassification = {
        ...{ inputs: all, model, topK, function: asked, session },
        user: named,
      };
      const stop = new CallerStop(request, limits.deadlineMs);
      try {
        const answer = classification.classify(call, stop);
        // An answer from the in-process cache is here already; awaiting it would cost a turn.
        if (!(answer instanceof Promise)) return reply(answer, stop, all.length, out);
        return waited(answer, stop, call, out);
      } catch (error) {
        stop.clear();
        return refused(error, session);
      }
    },
  });

  const texts = new AnswerText();
  const reply = (
    answer: SessionAnswer,
    { beganMs }: CallerStop,
    inputs: number,
    out: FastifyReply,
  ) => {
    metrics.inputs.add(answer.model, inputs);
    // Fastify sends a text as it is.
    void out.header('content-type', JSON_TYPE);
    const totalMs = performance.now() - beganMs;
    if (!isLarge(answer)) return texts.of(answer, totalMs);
    return out.send(Readable.from(oneInEachTurn(texts.slices(answer, totalMs))));
  };
  const waited = async (
    answer: Promise<SessionAnswer>,
    stop: CallerStop,
    { inputs, session }: Asked & TextClassification,
    out: FastifyReply,
  ) => {
    try {
      return reply(await answer, stop, inputs.length, out);
    } catch (error) {
      return await refused(error, session);
    } finally {
      stop.clear();
    }
  };
  const refused = async (error: unknown, session: string | undefined): Promise<never> => {
    throw (await isArchived(error, services, session))
      ? new PlimsollError('SESSION_ENDED', `session ${session} has ended`)
      : error;
  };
}

/** Scores of an answer whose text is written in slices; others are served in between. */
const LARGE_ANSWER_SCORES = 4096;
const yielding = new EventLoopYield();

function isLarge({ results }: SessionAnswer): boolean {
  // Every input has as many labels.
  return results.length * (results[0]?.length ?? 0) > LARGE_ANSWER_SCORES;
}

async function* oneInEachTurn(slices: Iterable<string>): AsyncGenerator<string, void> {
  for (const slice of slices) {
    yield slice;
    await yielding.next();
  }
}

/** Whether the error says that a session was not found, and that session ended in an earlier run or long ago. */
async function isArchived(
  error: unknown,
  { archive }: HttpServices,
  session: string | undefined,
): Promise<boolean> {
  if (!(error instanceof PlimsollError) || error.code !== 'SESSION_NOT_FOUND') return false;
  if (session === undefined) return false;
  try {
    return (await archive.session(session)) !== undefined;
  } catch {
    // Without the database nobody knows, so the session counts as not found.
    return false;
  }
}

/** Fires when the deadline is over or the caller has closed the connection. */
class CallerStop implements Abortable {
  readonly beganMs = performance.now();
  readonly #request: FastifyRequest;
  readonly #deadlineMs: number;
  #signal: AbortSignal | undefined;
  #clear: (() => void) | undefined;

  constructor(request: FastifyRequest, deadlineMs: number) {
    this.#request = request;
    this.#deadlineMs = deadlineMs;
  }

  /** Made on first use: an answer from the cache never waits for anything. */
  get signal(): AbortSignal {
    this.#signal ??= this.#watch();
    return this.#signal;
  }

  clear(): void {
    this.#clear?.();
  }

  #watch(): AbortSignal {
    const controller = new AbortController();
    const leftMs = this.beganMs + this.#deadlineMs - performance.now();
    const timer = setTimeout(() => {
      const message = `the answer was not ready within ${this.#deadlineMs} ms`;
      controller.abort(new PlimsollError('DEADLINE_EXCEEDED', message, { retryAfterSeconds: 1 }));
    }, leftMs);
    const { socket } = this.#request.raw;
    const gone = () => {
      controller.abort(new PlimsollError('CLIENT_GONE', 'the caller closed the connection'));
    };
    socket.once('close', gone);
    // The connection may have closed before the first use.
    if (socket.destroyed) gone();
    this.#clear = () => {
      clearTimeout(timer);
      socket.off('close', gone);
    };
    return controller.signal;
  }
}

/** Names callers who give none by their address, of which only a keyed hash is kept. */
class AddressUsers {
  readonly #secret: string;
  /** Most requests come from few addresses. */
  readonly #known = new LRUCache<string, string>({ max: KNOWN_ADDRESSES });

  constructor(secret: string) {
    this.#secret = secret;
  }

  of(address: string): string {
    const known = this.#known.get(address);
    if (known !== undefined) return known;
    const hash = createHmac('sha256', this.#secret).update(address).digest('hex');
    const user = `address-${hash.slice(0, 12)}`;
    this.#known.set(address, user);
    return user;
  }
}
