import type { FastifyInstance } from 'fastify';
import { receiptSchema } from '../../../contract/receipts.js';
import { timeOf } from '../../../contract/schema/lists.js';
import {
  memorySchema,
  processReadingsSchema,
  readingsSchema,
  sinceQuerySchema,
} from '../../../contract/state/memory.js';
import { addRoute } from '../../route.js';
import type { HttpServices } from '../../services.js';

const tag = 'memory';
const HOUR_MS = 3_600_000;
/** A day. */
const MOST_MINUTES = 1440;

/** `/v1/memory` */
export function memoryRoutes(app: FastifyInstance, { memory, archive }: HttpServices): void {
  addRoute(app, {
    method: 'GET',
    url: '/v1/memory',
    scope: 'read',
    summary: 'Memory now: the machine’s, the load line, and each process’s',
    tag,
    replies: { 200: memorySchema },
    handle: () => memory.now(),
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/memory/readings',
    scope: 'read',
    packed: true,
    summary: 'Readings since a time: one a second of the last hour, before that one a minute',
    tag,
    query: sinceQuerySchema,
    replies: { 200: readingsSchema },
    handle: async ({ query }) => {
      const sinceMs = timeOf(query.since) ?? Date.now() - HOUR_MS;
      const seconds = memory.readings(sinceMs);
      return { seconds, minutes: await archive.readings(sinceMs, MOST_MINUTES) };
    },
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/memory/processes',
    scope: 'read',
    packed: true,
    summary: 'Readings by process since a time, at most of the last half hour',
    tag,
    query: sinceQuerySchema,
    replies: { 200: processReadingsSchema },
    handle: async ({ query }) => memory.processes(timeOf(query.since) ?? 0),
  });

  addRoute(app, {
    method: 'POST',
    url: '/v1/memory/cleanup',
    scope: 'manage',
    summary: 'Give back now what nobody needs; the reply is the receipt',
    tag,
    replies: { 200: receiptSchema },
    handle: () => memory.cleanup(),
  });

  addRoute(app, {
    method: 'POST',
    url: '/v1/memory/recycle',
    scope: 'manage',
    summary: 'Replace every worker, unload every model, clear the in-process caches',
    tag,
    replies: { 200: receiptSchema },
    handle: () => memory.recycle(),
  });
}
