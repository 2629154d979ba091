import type { FastifyInstance } from 'fastify';
import { receiptSchema } from '../../../contract/receipts.js';
import { workerPathSchema, workersSchema } from '../../../contract/state/workers.js';
import { addRoute } from '../../route.js';
import type { HttpServices } from '../../services.js';

const tag = 'workers';

/** `/v1/workers` */
export function workerRoutes(app: FastifyInstance, { workers }: HttpServices): void {
  addRoute(app, {
    method: 'GET',
    url: '/v1/workers',
    scope: 'read',
    summary: 'The worker processes, the oldest first',
    tag,
    replies: { 200: workersSchema },
    handle: async () => ({ workers: workers.list() }),
  });

  addRoute(app, {
    method: 'POST',
    url: '/v1/workers/:id/recycle',
    scope: 'manage',
    summary: 'Replace one worker without losing its running batch; the reply is the receipt',
    tag,
    path: workerPathSchema,
    replies: { 200: receiptSchema },
    handle: ({ params }) => workers.recycle(params.id),
  });
}
