import type { FastifyInstance } from 'fastify';
import { cacheSchema, clearCacheQuerySchema, clearedSchema } from '../../../contract/cache.js';
import { addRoute } from '../../route.js';
import type { HttpServices } from '../../services.js';

const tag = 'cache';

/** `/v1/cache` */
export function cacheRoutes(app: FastifyInstance, { cache }: HttpServices): void {
  addRoute(app, {
    method: 'GET',
    url: '/v1/cache',
    scope: 'read',
    summary: 'What each tier of the result cache holds and has done',
    tag,
    replies: { 200: cacheSchema },
    handle: () => cache.figures(),
  });

  addRoute(app, {
    method: 'DELETE',
    url: '/v1/cache',
    scope: 'manage',
    summary: 'Remove every cached result; in Redis those of other servers too',
    tag,
    query: clearCacheQuerySchema,
    replies: { 200: clearedSchema },
    handle: ({ query }) => cache.clear(query.tier ?? 'both'),
  });
}
