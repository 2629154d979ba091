import type { FastifyInstance } from 'fastify';
import { PlimsollError } from '../../../errors.js';
import { limitSchema, type Span, spanOf, spanSchema } from '../../query.js';
import { commonErrors, openSessionSchema, receiptSchema, sessionSchema } from '../../schemas.js';
import type { HttpServices } from '../../services.js';
import { sessionToWire } from '../../wire.js';

const tags = ['sessions'];
const idSchema = {
  type: 'object',
  properties: { id: { type: 'string', maxLength: 100 } },
} as const;

interface ReceiptsQuery extends Span {
  readonly kind?: string;
  readonly session?: string;
}

/** `/v1/sessions` and `/v1/receipts` */
export function sessionRoutes(app: FastifyInstance, { sessions, archive }: HttpServices): void {
  app.post<{ Body: { readonly max_users?: number } | null | undefined }>(
    '/v1/sessions',
    {
      schema: {
        summary: 'Open a session',
        tags,
        body: openSessionSchema,
        response: { 201: sessionSchema, ...commonErrors },
      },
    },
    async (request, reply) => {
      reply.code(201);
      return sessionToWire(sessions.open(request.body?.max_users));
    },
  );

  app.get<{ Querystring: { readonly limit: string } }>(
    '/v1/sessions',
    {
      schema: {
        summary: 'Sessions, open and past, newest first',
        tags,
        querystring: limitSchema({}),
        response: {
          200: {
            type: 'object',
            properties: { sessions: { type: 'array', items: sessionSchema } },
          },
          ...commonErrors,
        },
      },
    },
    async (request) => {
      const limit = Number(request.query.limit);
      const live = sessions.list().map(sessionToWire).reverse().slice(0, limit);
      const seen = new Set(live.map(({ id }) => id));
      const past = (await archive.sessions(limit)).filter(
        (session) => !seen.has(String(idOf(session))),
      );
      return { sessions: [...live, ...past].slice(0, limit) };
    },
  );

  app.get<{ Params: { readonly id: string } }>(
    '/v1/sessions/:id',
    {
      schema: {
        summary: 'One session',
        tags,
        params: idSchema,
        response: { 200: sessionSchema, ...commonErrors },
      },
    },
    async ({ params }) => {
      const live = sessions.find(params.id);
      const session = live === undefined ? await archive.session(params.id) : sessionToWire(live);
      if (session === undefined) {
        throw new PlimsollError('SESSION_NOT_FOUND', `there is no session "${params.id}"`);
      }
      return session;
    },
  );

  app.post<{ Params: { readonly id: string } }>(
    '/v1/sessions/:id/end',
    {
      schema: {
        summary: 'End a session; the reply has the receipt of its cleanup',
        tags,
        params: idSchema,
        response: { 200: sessionSchema, ...commonErrors },
      },
    },
    async ({ params }) => {
      // One that ended long ago, or in an earlier run, is answered from the archive.
      const known = sessions.find(params.id);
      const past = known === undefined ? await archive.session(params.id) : undefined;
      return past ?? sessionToWire(await sessions.end(params.id));
    },
  );

  app.get<{ Querystring: ReceiptsQuery }>(
    '/v1/receipts',
    {
      schema: {
        summary: 'Receipts of cleanups, unloads, evictions, recycles and shifts, newest first',
        tags,
        querystring: limitSchema({
          kind: { type: 'string', maxLength: 40 },
          session: { type: 'string', maxLength: 100 },
          ...spanSchema,
        }),
        response: {
          200: {
            type: 'object',
            properties: { receipts: { type: 'array', items: receiptSchema } },
          },
          ...commonErrors,
        },
      },
    },
    async ({ query }) => {
      const { kind, session } = query;
      return { receipts: await archive.receipts({ kind, session, ...spanOf(query) }) };
    },
  );
}

function idOf(session: unknown): unknown {
  return typeof session === 'object' && session !== null && 'id' in session
    ? session.id
    : undefined;
}
