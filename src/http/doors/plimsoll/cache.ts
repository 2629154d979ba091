import type { FastifyInstance } from 'fastify';
import { commonErrors } from '../../schemas.js';
import type { HttpServices } from '../../services.js';
import { cacheToWire } from '../../wire.js';

const count = { type: 'integer' } as const;
const tier = { entries: count, bytes: count } as const;
const orNull = (type: string, description: string) => ({ type: [type, 'null'], description });

const lifeLeft = {
  type: ['object', 'null'],
  description: 'What was left of the lives of the results it answered with; null before the first.',
  properties: { least: { type: 'number' }, most: { type: 'number' } },
} as const;

const figuresSchema = {
  type: 'object',
  properties: {
    memory: {
      type: 'object',
      properties: { ...tier, hits: count, misses: count, ttl_left_s: lifeLeft },
    },
    redis: {
      type: ['object', 'null'],
      description: 'null: this server has no Redis.',
      properties: {
        state: {
          type: 'string',
          enum: ['closed', 'open', 'trying'],
          description: 'closed: in use; open: left alone; trying: one attempt is out.',
        },
        reason: orNull('string', 'Why it is left alone.'),
        entries: orNull('integer', 'Of all servers; null if Redis did not tell in time.'),
        bytes: orNull('integer', 'Mean size of a sample of the entries × their number.'),
        hits: count,
        ttl_left_s: lifeLeft,
        misses: count,
        failures: { ...count, description: 'Requests that went on without its answer.' },
        unreadable: { ...count, description: 'Values that could not be read, and were removed.' },
        dropped: { ...count, description: 'Results that were not written.' },
      },
    },
  },
} as const;

const clearedSchema = {
  type: 'object',
  properties: {
    memory: { type: ['object', 'null'], properties: tier },
    redis: {
      type: ['object', 'null'],
      properties: {
        ...tier,
        bytes: { ...count, description: 'What Redis’s memory fell by; others use it too.' },
        complete: { type: 'boolean', description: 'Whether every key was reached in time.' },
      },
    },
  },
} as const;

/** `/v1/cache` */
export function cacheRoutes(app: FastifyInstance, { cache }: HttpServices): void {
  const tags = ['cache'];
  app.get(
    '/v1/cache',
    {
      schema: {
        summary: 'What each tier of the result cache holds and has done',
        tags,
        response: { 200: figuresSchema, ...commonErrors },
      },
    },
    async () => cacheToWire(await cache.figures()),
  );

  app.delete<{ Querystring: { readonly tier?: 'memory' | 'redis' } }>(
    '/v1/cache',
    {
      schema: {
        summary: 'Remove every cached result; in Redis those of other servers too',
        tags,
        querystring: {
          type: 'object',
          additionalProperties: false,
          properties: { tier: { type: 'string', enum: ['memory', 'redis'] } },
        },
        response: { 200: clearedSchema, ...commonErrors },
      },
    },
    async ({ query }) => {
      const { memory, redis } = await cache.clear(query.tier ?? 'both');
      return {
        memory: memory ?? null,
        redis: redis ?? null,
      };
    },
  );
}
