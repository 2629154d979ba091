import type { FastifyInstance } from 'fastify';
import { poolsSchema } from '../../../contract/state/pools.js';
import { addRoute } from '../../route.js';
import type { HttpServices } from '../../services.js';

/** `/v1/pools` */
export function poolRoutes(app: FastifyInstance, { pools }: HttpServices): void {
  addRoute(app, {
    method: 'GET',
    url: '/v1/pools',
    scope: 'read',
    summary: 'Pools of connections to Redis and PostgreSQL; none where they are not used',
    tag: 'pools',
    replies: { 200: poolsSchema },
    handle: async () => ({ pools: pools() }),
  });
}
