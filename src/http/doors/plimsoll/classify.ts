import { createHmac } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import type { Stop } from '../../../cache/stop.js';
import { PlimsollError } from '../../../errors.js';
import type { ScoreFunction } from '../../../models/intake/reading/scoring.js';
import type { SessionAnswer, SessionRequest } from '../../../sessions/service.js';
import { answerSchema, classifySchema, commonErrors } from '../../schemas.js';
import type { HttpServices } from '../../services.js';
import { AnswerText } from './answer-text.js';

/** What fastify sets by itself where it serializes. */
const JSON_TYPE = 'application/json; charset=utf-8';
/** Addresses whose hashes are kept: about 100 KB. */
const KNOWN_ADDRESSES = 512;

interface ClassifyBody {
  readonly inputs: string | readonly string[];
  readonly model?: string;
  readonly top_k?: number;
  readonly function_to_apply?: ScoreFunction;
  readonly session?: string;
  readonly user?: string;
}

/** `POST /v1/classify` */
export function classifyRoutes(app: FastifyInstance, services: HttpServices): void {
  const { limits, classification, metrics } = services;
  const users = new AddressUsers(services.userSecret);
  app.post<{ Body: ClassifyBody }>(
    '/v1/classify',
    {
      schema: {
        summary: 'Classify one text, or several',
        tags: ['classification'],
        body: classifySchema(limits.maxInputs),
        response: { 200: answerSchema, ...commonErrors },
      },
    },
    (request, out) => {
      const { inputs, model, top_k: topK, function_to_apply: asked, session, user } = request.body;
      const all = typeof inputs === 'string' ? [inputs] : inputs;
      const named = user ?? users.of(request.ip);
      const call: SessionRequest = {
        ...{ inputs: all, model, topK, function: asked, session },
        user: named,
      };
      const stop = new CallerStop(request, limits.deadlineMs);
      try {
        const answer = classification.classify(call, stop);
        // What memory knew is here already; a promise would only put it off.
        if (!(answer instanceof Promise)) return reply(answer, stop, all.length, out);
        return waited(answer, stop, call, out);
      } catch (error) {
        stop.clear();
        return refused(error, session);
      }
    },
  );

  const texts = new AnswerText();
  const reply = (
    answer: SessionAnswer,
    { beganMs }: CallerStop,
    inputs: number,
    out: FastifyReply,
  ) => {
    metrics.inputs.add(answer.model, inputs);
    // A text is sent as it is.
    void out.header('content-type', JSON_TYPE);
    return texts.of(answer, performance.now() - beganMs);
  };
  const waited = async (
    answer: Promise<SessionAnswer>,
    stop: CallerStop,
    { inputs, session }: SessionRequest,
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

/** Whether the session that was not found ended in an earlier run, or long ago in this one. */
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
    // Without the database nobody knows: not found among those that are.
    return false;
  }
}

/** Fires when the deadline is over or the caller has closed the connection. */
class CallerStop implements Stop {
  readonly beganMs = performance.now();
  readonly #request: FastifyRequest;
  readonly #deadlineMs: number;
  #signal: AbortSignal | undefined;
  #clear: (() => void) | undefined;

  constructor(request: FastifyRequest, deadlineMs: number) {
    this.#request = request;
    this.#deadlineMs = deadlineMs;
  }

  /** Made when it is first asked for: most answers are known and wait for nothing. */
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
    // It may have closed before anybody asked.
    if (socket.destroyed) gone();
    this.#clear = () => {
      clearTimeout(timer);
      socket.off('close', gone);
    };
    return controller.signal;
  }
}

/** Callers without a name are told apart by their address, which is kept as a keyed hash only. */
class AddressUsers {
  readonly #secret: string;
  /** The hashes of those who came last: most requests come from few addresses. */
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
