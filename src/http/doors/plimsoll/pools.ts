import type { FastifyInstance } from 'fastify';
import { commonErrors } from '../../schemas.js';
import type { HttpServices } from '../../services.js';
import { poolToWire } from '../../wire.js';

const COUNTS = [
  'min',
  'max',
  'open',
  'idle',
  'in_use',
  'waiting',
  'opened',
  'recycled',
  'broken',
  'checkouts',
  'timeouts',
] as const;

const poolSchema = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    ...Object.fromEntries(COUNTS.map((name) => [name, { type: 'integer' }])),
    wait_ms_mean: { type: 'number' },
    wait_ms_max: { type: 'number' },
  },
} as const;

/** `/v1/pools` */
export function poolRoutes(app: FastifyInstance, { pools }: HttpServices): void {
  app.get(
    '/v1/pools',
    {
      schema: {
        summary: 'Connections to other servers: none where there is no such server',
        tags: ['pools'],
        response: {
          200: { type: 'object', properties: { pools: { type: 'array', items: poolSchema } } },
          ...commonErrors,
        },
      },
    },
    async () => ({ pools: pools().map(poolToWire) }),
  );
}
