import type { FastifyInstance } from 'fastify';
import {
  pastEventsQuerySchema,
  pastEventsSchema,
  recordsQuerySchema,
  recordsSchema,
} from '../../../contract/records.js';
import { spanOf } from '../../../contract/schema/lists.js';
import { sessionPathSchema, sessionUsersSchema } from '../../../contract/sessions.js';
import { PlimsollError } from '../../../errors.js';
import { addRoute } from '../../route.js';
import type { HttpServices } from '../../services.js';

const tag = 'records';

/** `/v1/records`, `/v1/events/past` and the users of a session */
export function recordRoutes(app: FastifyInstance, { archive, sessions }: HttpServices): void {
  addRoute(app, {
    method: 'GET',
    url: '/v1/records',
    scope: 'read',
    summary: 'Records of classifications, one for each input, newest first',
    tag,
    query: recordsQuerySchema,
    replies: { 200: recordsSchema },
    handle: async ({ query }) => {
      const { session, user, model, label } = query;
      return {
        records: await archive.records({ session, user, model, label, ...spanOf(query) }),
      };
    },
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/events/past',
    scope: 'read',
    summary: 'What has happened: loads, unloads, workers, pressure, other servers; newest first',
    tag,
    query: pastEventsQuerySchema,
    replies: { 200: pastEventsSchema },
    handle: async ({ query }) => {
      const { kind, session } = query;
      return { events: await archive.pastEvents({ kind, session, ...spanOf(query) }) };
    },
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/sessions/:id/users',
    scope: 'read',
    summary: 'Users of a session, as hashes, in the order in which they came',
    tag: 'sessions',
    path: sessionPathSchema,
    replies: { 200: sessionUsersSchema },
    handle: async ({ params }) => {
      const known = (await sessions.find(params.id)) ?? (await archive.session(params.id));
      if (known === undefined) {
        throw new PlimsollError('SESSION_NOT_FOUND', `there is no session "${params.id}"`);
      }
      return { users: await archive.users(params.id) };
    },
  });
}
