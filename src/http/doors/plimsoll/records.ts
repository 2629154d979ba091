import type { FastifyInstance } from 'fastify';
import { PlimsollError } from '../../../errors.js';
import { limitSchema, type Span, spanOf, spanSchema } from '../../query.js';
import { commonErrors } from '../../schemas.js';
import type { HttpServices } from '../../services.js';
import { eventToWire, recordToWire } from '../../wire.js';

const tags = ['records'];
const text = { type: 'string' } as const;
const name = { type: 'string', maxLength: 600 } as const;
const nullableText = { type: ['string', 'null'] } as const;

const recordSchema = {
  type: 'object',
  properties: {
    id: text,
    at: text,
    session: text,
    user_hash: { ...text, description: 'HMAC-SHA256 of the user’s name under `cache.secret`.' },
    model: text,
    input_hash: {
      ...text,
      description: 'The input’s key in the cache: HMAC-MD5 of model and text under `cache.secret`.',
    },
    input: { ...text, description: 'The text, if `records.keep_text` says so.' },
    label: { ...text, description: 'The one with the highest score.' },
    score: { type: 'number' },
    ms: { type: 'number', description: 'From the request’s arrival to its answer.' },
    cached: { anyOf: [{ type: 'boolean' }, text] },
  },
} as const;

const eventSchema = {
  type: 'object',
  properties: {
    ...{ id: text, at: text, kind: text, text },
    ...{ session: nullableText, model: nullableText, worker: nullableText },
  },
} as const;

interface RecordsQuery extends Span {
  readonly session?: string;
  readonly user?: string;
  readonly model?: string;
  readonly label?: string;
}

interface EventsQuery extends Span {
  readonly kind?: string;
  readonly session?: string;
}

/** `/v1/records`, `/v1/events/past` and the users of a session */
export function recordRoutes(app: FastifyInstance, { archive, sessions }: HttpServices): void {
  app.get<{ Querystring: RecordsQuery }>(
    '/v1/records',
    {
      schema: {
        summary: 'Records of classifications, one for each input, newest first',
        tags,
        querystring: limitSchema({
          session: name,
          user: name,
          model: name,
          label: name,
          ...spanSchema,
        }),
        response: { 200: listOf('records', recordSchema), ...commonErrors },
      },
    },
    async ({ query }) => {
      const { session, user, model, label } = query;
      const found = await archive.records({ session, user, model, label, ...spanOf(query) });
      return { records: found.map(recordToWire) };
    },
  );

  app.get<{ Querystring: EventsQuery }>(
    '/v1/events/past',
    {
      schema: {
        summary:
          'What has happened: loads, unloads, workers, pressure, other servers; newest first',
        tags,
        querystring: limitSchema({ kind: name, session: name, ...spanSchema }),
        response: { 200: listOf('events', eventSchema), ...commonErrors },
      },
    },
    async ({ query }) => {
      const { kind, session } = query;
      const found = await archive.pastEvents({ kind, session, ...spanOf(query) });
      return { events: found.map(eventToWire) };
    },
  );

  app.get<{ Params: { readonly id: string } }>(
    '/v1/sessions/:id/users',
    {
      schema: {
        summary: 'Users of a session, as hashes, in the order in which they came',
        tags: ['sessions'],
        params: { type: 'object', properties: { id: { type: 'string', maxLength: 100 } } },
        response: {
          200: listOf('users', { type: 'object', properties: { user_hash: text, since: text } }),
          ...commonErrors,
        },
      },
    },
    async ({ params }) => {
      const known = sessions.find(params.id) ?? (await archive.session(params.id));
      if (known === undefined) {
        throw new PlimsollError('SESSION_NOT_FOUND', `there is no session "${params.id}"`);
      }
      const users = await archive.users(params.id);
      return {
        users: users.map(({ user_hash, at_ms }) => ({
          user_hash,
          since: new Date(at_ms).toISOString(),
        })),
      };
    },
  );
}

function listOf<const N extends string>(of: N, items: object) {
  return { type: 'object', properties: { [of]: { type: 'array', items } } } as const;
}
