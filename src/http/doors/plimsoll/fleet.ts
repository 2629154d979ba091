import type { FastifyInstance } from 'fastify';
import { fleetSchema } from '../../../contract/fleet.js';
import { addRoute } from '../../route.js';
import type { HttpServices } from '../../services.js';

/** `/v1/fleet` */
export function fleetRoutes(app: FastifyInstance, { fleet }: HttpServices): void {
  addRoute(app, {
    method: 'GET',
    url: '/v1/fleet',
    scope: 'read',
    summary: 'The servers that share Redis or PostgreSQL with this one, and itself',
    tag: 'fleet',
    replies: { 200: fleetSchema },
    handle: async () => fleet.view(),
  });
}
