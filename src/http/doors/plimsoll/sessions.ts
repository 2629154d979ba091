import type { FastifyInstance } from 'fastify';
import { receiptsQuerySchema, receiptsSchema } from '../../../contract/receipts.js';
import { limitOf, spanOf } from '../../../contract/schema/lists.js';
import {
  openSessionSchema,
  sessionPathSchema,
  sessionSchema,
  sessionsQuerySchema,
  sessionsSchema,
} from '../../../contract/sessions.js';
import { PlimsollError } from '../../../errors.js';
import { addRoute } from '../../route.js';
import type { HttpServices } from '../../services.js';

const tag = 'sessions';

/** `/v1/sessions` and `/v1/receipts` */
export function sessionRoutes(app: FastifyInstance, services: HttpServices): void {
  openAndEndRoutes(app, services);
  readRoutes(app, services);
  receiptRoutes(app, services);
}

function openAndEndRoutes(app: FastifyInstance, { sessions, archive }: HttpServices): void {
  addRoute(app, {
    method: 'POST',
    url: '/v1/sessions',
    scope: 'classify',
    summary: 'Open a session',
    tag,
    body: openSessionSchema,
    replies: { 201: sessionSchema },
    handle: async ({ body }, reply) => {
      reply.code(201);
      return sessions.open(body?.max_users);
    },
  });

  addRoute(app, {
    method: 'POST',
    url: '/v1/sessions/:id/end',
    scope: 'classify',
    summary: 'End a session; the reply has the receipt of its cleanup',
    tag,
    path: sessionPathSchema,
    replies: { 200: sessionSchema },
    handle: async ({ params }) => {
      // One that ended long ago, or in an earlier run, is answered from the archive.
      const known = await sessions.find(params.id);
      const past = known === undefined ? await archive.session(params.id) : undefined;
      const isShared = past?.fleet !== undefined && past.state === 'open';
      return past === undefined || isShared ? sessions.end(params.id) : past;
    },
  });
}

function readRoutes(app: FastifyInstance, { sessions, archive }: HttpServices): void {
  addRoute(app, {
    method: 'GET',
    url: '/v1/sessions',
    scope: 'read',
    summary: 'Sessions, open and past, newest first',
    tag,
    query: sessionsQuerySchema,
    replies: { 200: sessionsSchema },
    handle: async ({ query }) => {
      const limit = limitOf(query);
      const live = sessions.list().slice(0, limit);
      const seen = new Set(live.map(({ id }) => id));
      const past = (await archive.sessions(limit)).filter(({ id }) => !seen.has(id));
      return { sessions: [...live, ...past].slice(0, limit) };
    },
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/sessions/:id',
    scope: 'any',
    summary: 'One session',
    tag,
    path: sessionPathSchema,
    replies: { 200: sessionSchema },
    handle: async ({ params }) => {
      const session = (await sessions.find(params.id)) ?? (await archive.session(params.id));
      if (session === undefined) {
        throw new PlimsollError('SESSION_NOT_FOUND', `there is no session "${params.id}"`);
      }
      return session;
    },
  });
}

function receiptRoutes(app: FastifyInstance, { archive }: HttpServices): void {
  addRoute(app, {
    method: 'GET',
    url: '/v1/receipts',
    scope: 'read',
    summary: 'Receipts of cleanups, unloads, evictions, recycles and shifts, newest first',
    tag,
    query: receiptsQuerySchema,
    replies: { 200: receiptsSchema },
    handle: async ({ query }) => {
      const { kind, session } = query;
      return { receipts: await archive.receipts({ kind, session, ...spanOf(query) }) };
    },
  });
}
