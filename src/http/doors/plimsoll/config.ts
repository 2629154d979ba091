import type { FastifyInstance } from 'fastify';
import { commonErrors } from '../../schemas.js';
import type { HttpServices } from '../../services.js';

const text = { type: 'string' } as const;

const settingSchema = {
  type: 'object',
  properties: {
    key: text,
    environment: text,
    value: { ...text, description: 'Of a secret only whether it is set.' },
    secret: { type: 'boolean' },
    unit: text,
    bounds: text,
    default: text,
    about: text,
  },
} as const;

/** `/v1/config` */
export function configRoutes(app: FastifyInstance, { settings }: HttpServices): void {
  app.get(
    '/v1/config',
    {
      schema: {
        summary: 'Every setting with its value; secrets are not shown',
        tags: ['service'],
        response: {
          200: {
            type: 'object',
            properties: { settings: { type: 'array', items: settingSchema } },
          },
          ...commonErrors,
        },
      },
    },
    async () => ({ settings }),
  );
}
