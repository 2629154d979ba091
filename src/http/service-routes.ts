import type { FastifyInstance } from 'fastify';
import { text } from '../contract/schema/schema.js';
import { liveSchema, notReadySchema, readySchema } from '../contract/service.js';
import { addRoute } from './route.js';
import type { HttpServices } from './services.js';

const tag = 'health';

/** `/health/live`, `/health/ready` and `/metrics`: for whatever runs the server, under every protocol. */
export function serviceRoutes(app: FastifyInstance, services: HttpServices): void {
  addRoute(app, {
    method: 'GET',
    url: '/health/live',
    scope: 'open',
    summary: 'The process answers',
    tag,
    replies: { 200: liveSchema },
    handle: async () => ({ status: 'live' as const }),
  });

  addRoute(app, {
    method: 'GET',
    url: '/health/ready',
    scope: 'open',
    summary: 'Requests can be taken; degraded: without another server',
    tag,
    replies: { 200: readySchema, 503: notReadySchema },
    handle: async (_request, reply) => {
      const reason = services.notReadyBecause();
      const reasons = services.degradedBecause();
      if (reason !== '') {
        reply.code(503).header('retry-after', '1');
        return { status: 'not ready' as const, reason };
      }
      if (reasons.length > 0) return { status: 'degraded' as const, reasons };
      return { status: 'ready' as const };
    },
  });

  addRoute(app, {
    method: 'GET',
    url: '/metrics',
    scope: 'read',
    packed: true,
    summary: 'Prometheus metrics',
    tag,
    produces: 'text/plain',
    replies: { 200: text() },
    handle: async (_request, reply) => {
      reply.type(services.metrics.registry.contentType);
      return services.metrics.registry.metrics();
    },
  });
}
