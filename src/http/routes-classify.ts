import { createHmac } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { PlimsollError } from '../errors.js';
import { answerSchema, classifySchema, commonErrors } from './schemas.js';
import type { HttpServices } from './services.js';
import { answerToWire } from './wire.js';

interface ClassifyBody {
  readonly inputs: string | readonly string[];
  readonly model?: string;
  readonly top_k?: number;
  readonly session?: string;
  readonly user?: string;
}

/** `POST /v1/classify` */
export function classifyRoutes(app: FastifyInstance, services: HttpServices): void {
  const { limits, classification, metrics } = services;
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
    async (request) => {
      const begun = performance.now();
      const { inputs, model, top_k: topK, session, user } = request.body;
      const texts = typeof inputs === 'string' ? [inputs] : inputs;
      const stop = stopSignal(request, limits.deadlineMs);
      try {
        const answer = await classification.classify(
          { inputs: texts, model, topK, session, user: user ?? addressUser(services, request) },
          stop.signal,
        );
        metrics.inputs.inc({ model: answer.model }, texts.length);
        return answerToWire(answer, performance.now() - begun);
      } catch (error) {
        throw (await isArchived(error, services, session))
          ? new PlimsollError('SESSION_ENDED', `session ${session} has ended`)
          : error;
      } finally {
        stop.clear();
      }
    },
  );
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
function stopSignal(request: FastifyRequest, deadlineMs: number) {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    const message = `the answer was not ready within ${deadlineMs} ms`;
    controller.abort(new PlimsollError('DEADLINE_EXCEEDED', message, { retryAfterSeconds: 1 }));
  }, deadlineMs);
  const gone = () => {
    controller.abort(new PlimsollError('CLIENT_GONE', 'the caller closed the connection'));
  };
  request.raw.socket.once('close', gone);
  return {
    signal: controller.signal,
    clear: () => {
      clearTimeout(timer);
      request.raw.socket.off('close', gone);
    },
  };
}

/** Callers without a name are told apart by their address, which is kept as a keyed hash only. */
function addressUser({ userSecret }: HttpServices, request: FastifyRequest): string {
  const hash = createHmac('sha256', userSecret).update(request.ip).digest('hex');
  return `address-${hash.slice(0, 12)}`;
}
