import type { FastifyInstance } from 'fastify';
import { settingsSchema } from '../../../contract/service.js';
import { addRoute } from '../../route.js';
import type { HttpServices } from '../../services.js';

/** `/v1/config` */
export function configRoutes(app: FastifyInstance, { settings }: HttpServices): void {
  addRoute(app, {
    method: 'GET',
    url: '/v1/config',
    scope: 'read',
    summary: 'Every setting with its value; secrets are not shown',
    tag: 'service',
    replies: { 200: settingsSchema },
    handle: async () => ({ settings }),
  });
}
