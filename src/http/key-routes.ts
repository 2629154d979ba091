import type { FastifyInstance } from 'fastify';
import {
  keyPathSchema,
  keysSchema,
  madeKeySchema,
  newKeySchema,
  revokedKeySchema,
  rotateKeySchema,
} from '../contract/service.js';
import { spanMs } from '../keys/key-register.js';
import { addRoute } from './route.js';
import type { HttpServices } from './services.js';

const tag = 'keys';

/** `/v1/keys` */
export function keyRoutes(app: FastifyInstance, services: HttpServices): void {
  listAndRevokeRoutes(app, services);
  secretRoutes(app, services);
}

function listAndRevokeRoutes(app: FastifyInstance, { keys }: HttpServices): void {
  addRoute(app, {
    method: 'GET',
    url: '/v1/keys',
    scope: 'manage',
    summary: 'Keys of the database and of the file; no secret is shown',
    tag,
    replies: { 200: keysSchema },
    handle: async () => ({ keys: keys.list() }),
  });

  addRoute(app, {
    method: 'DELETE',
    url: '/v1/keys/:name',
    scope: 'manage',
    summary: 'Revoke a key: it stops working within a second on every server',
    tag,
    path: keyPathSchema,
    replies: { 200: revokedKeySchema },
    handle: async ({ params }) => {
      await keys.revoke(params.name);
      return { name: params.name, state: 'revoked' as const };
    },
  });
}

/** Those whose replies have a secret. */
function secretRoutes(app: FastifyInstance, { keys }: HttpServices): void {
  addRoute(app, {
    method: 'POST',
    url: '/v1/keys',
    scope: 'manage',
    summary: 'Make a key; the reply is the only place where its secret is shown',
    tag,
    body: newKeySchema,
    replies: { 201: madeKeySchema },
    handle: async ({ body }, reply) => {
      const { name, secret } = await keys.create({
        name: body.name,
        scopes: body.scopes ?? ['classify'],
        requestsPerSecond: body.requests_per_second,
        inputsPerMinute: body.inputs_per_minute,
        expiresInMs: spanMs('expires', body.expires),
      });
      reply.code(201).header('cache-control', 'no-store');
      return { name, key: secret };
    },
  });

  addRoute(app, {
    method: 'POST',
    url: '/v1/keys/:name/rotate',
    scope: 'manage',
    summary: 'Give a key another secret; the old one works until the grace is over',
    tag,
    path: keyPathSchema,
    body: rotateKeySchema,
    replies: { 200: madeKeySchema },
    handle: async ({ params, body }, reply) => {
      const grace = body?.grace;
      const { name, secret } = await keys.rotate(params.name, spanMs('grace', grace) ?? 0);
      reply.header('cache-control', 'no-store');
      return { name, key: secret };
    },
  });
}
