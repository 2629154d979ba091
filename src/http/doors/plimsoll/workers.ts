import type { FastifyInstance } from 'fastify';
import { commonErrors, receiptSchema, workerSchema } from '../../schemas.js';
import type { HttpServices } from '../../services.js';
import { receiptToWire, workerToWire } from '../../wire.js';

const tags = ['workers'];

/** `/v1/workers` */
export function workerRoutes(app: FastifyInstance, { workers }: HttpServices): void {
  app.get(
    '/v1/workers',
    {
      schema: {
        summary: 'The worker processes, the oldest first',
        tags,
        response: {
          200: { type: 'object', properties: { workers: { type: 'array', items: workerSchema } } },
          ...commonErrors,
        },
      },
    },
    async () => ({ workers: workers.list().map((worker) => workerToWire(worker, Date.now())) }),
  );

  app.post<{ Params: { readonly id: string } }>(
    '/v1/workers/:id/recycle',
    {
      schema: {
        summary: 'Replace one worker without losing what it works on; the reply is the receipt',
        tags,
        params: { type: 'object', properties: { id: { type: 'string', maxLength: 100 } } },
        response: { 200: receiptSchema, ...commonErrors },
      },
    },
    async ({ params }) => receiptToWire(await workers.recycle(params.id)),
  );
}
