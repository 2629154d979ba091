import type { FastifyInstance } from 'fastify';
import {
  jobPathSchema,
  jobRequestSchema,
  jobSchema,
  jobsQuerySchema,
  jobsSchema,
  shardsQuerySchema,
  shardsSchema,
} from '../../../../contract/jobs.js';
import { limitOf } from '../../../../contract/schema/lists.js';
import { addRoute } from '../../../route.js';
import type { HttpServices } from '../../../services.js';

const tag = 'jobs';

/** `/v1/jobs`: bulk classification of files. */
export function jobRoutes(app: FastifyInstance, services: HttpServices): void {
  changeRoutes(app, services);
  readRoutes(app, services);
}

function changeRoutes(app: FastifyInstance, { jobs }: HttpServices): void {
  addRoute(app, {
    method: 'POST',
    url: '/v1/jobs',
    scope: 'manage',
    summary:
      'Classify the rows of files; the same request again, while it is open, is the same job',
    tag,
    body: jobRequestSchema,
    replies: { 202: jobSchema },
    handle: async ({ body }, reply) => {
      reply.code(202);
      return jobs.submit(body);
    },
  });

  addRoute(app, {
    method: 'POST',
    url: '/v1/jobs/:id/cancel',
    scope: 'manage',
    summary: 'Stop a job; its parts so far stay',
    tag,
    path: jobPathSchema,
    replies: { 200: jobSchema },
    handle: async ({ params }) => jobs.cancel(params.id),
  });

  addRoute(app, {
    method: 'POST',
    url: '/v1/jobs/:id/retry',
    scope: 'manage',
    summary: 'Work again on what failed, or was not done when the job was cancelled',
    tag,
    path: jobPathSchema,
    replies: { 200: jobSchema },
    handle: async ({ params }) => jobs.retry(params.id),
  });
}

function readRoutes(app: FastifyInstance, { jobs }: HttpServices): void {
  addRoute(app, {
    method: 'GET',
    url: '/v1/jobs',
    scope: 'read',
    summary: 'Jobs, the newest first',
    tag,
    query: jobsQuerySchema,
    replies: { 200: jobsSchema },
    handle: async ({ query }) => ({ jobs: await jobs.list(limitOf(query), query.state) }),
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/jobs/:id',
    scope: 'read',
    summary: 'How far a job is',
    tag,
    path: jobPathSchema,
    replies: { 200: jobSchema },
    handle: async ({ params }) => jobs.show(params.id),
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/jobs/:id/shards',
    scope: 'read',
    summary: 'Shards of a job, in their order',
    tag,
    path: jobPathSchema,
    query: shardsQuerySchema,
    replies: { 200: shardsSchema },
    handle: async ({ params, query }) => {
      const { state, from = '0' } = query;
      const of = { from: Number(from), limit: limitOf(query), ...(state && { state }) };
      return { shards: await jobs.shards(params.id, of) };
    },
  });
}
