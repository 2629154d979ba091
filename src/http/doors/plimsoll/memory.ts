import type { FastifyInstance } from 'fastify';
import { PlimsollError } from '../../../errors.js';
import { figuresOf } from '../../../memory/snapshot.js';
import {
  commonErrors,
  memorySchema,
  modelDetailSchema,
  modelSchema,
  processesSchema,
  readingsSchema,
  receiptSchema,
} from '../../schemas.js';
import type { HttpServices } from '../../services.js';
import {
  minuteToWire,
  modelDetailToWire,
  modelToWire,
  processesToWire,
  readingToWire,
  receiptToWire,
  toMb,
} from '../../wire.js';

const HOUR_MS = 3_600_000;
/** A day. */
const MOST_MINUTES = 1440;

/** `/v1/memory` and `/v1/models` */
export function memoryRoutes(
  app: FastifyInstance,
  { memory, models, archive }: HttpServices,
): void {
  app.get(
    '/v1/memory',
    {
      schema: {
        summary: 'Memory now: the machine’s, the load line, and each process’s',
        tags: ['memory'],
        response: { 200: memorySchema, ...commonErrors },
      },
    },
    async () => {
      const snapshot = await memory.read();
      const figures = figuresOf(snapshot);
      return {
        server_total_mb: toMb(figures.serverTotalBytes),
        server_used_mb: toMb(figures.serverUsedBytes),
        server_percent: Math.round(figures.serverPercent * 1000) / 1000,
        load_line_mb: toMb(memory.loadLineBytes(snapshot)),
        pressure: memory.pressure(),
        users_since_recycle: memory.usersSinceRecycle(),
        processes: snapshot.processes.map(({ role, pid, memory: of }) => ({
          role,
          pid,
          rss_mb: toMb(of.rssBytes),
          pss_mb: toMb(of.pssBytes),
          private_mb: toMb(of.privateBytes),
        })),
      };
    },
  );

  app.get<{ Querystring: { readonly since?: string } }>(
    '/v1/memory/readings',
    {
      schema: {
        summary: 'Readings since a time: one a second of the last hour, before that one a minute',
        tags: ['memory'],
        querystring: {
          type: 'object',
          additionalProperties: false,
          properties: { since: { type: 'string', format: 'date-time' } },
        },
        response: { 200: readingsSchema, ...commonErrors },
      },
    },
    async ({ query }) => {
      const sinceMs = query.since === undefined ? Date.now() - HOUR_MS : Date.parse(query.since);
      const seconds = memory.readings(sinceMs);
      const minutes = await archive.readings(sinceMs, MOST_MINUTES);
      return { seconds: seconds.map(readingToWire), minutes: minutes.map(minuteToWire) };
    },
  );

  app.get<{ Querystring: { readonly since?: string } }>(
    '/v1/memory/processes',
    {
      schema: {
        summary: 'Readings by process since a time, at most of the last half hour',
        tags: ['memory'],
        querystring: {
          type: 'object',
          additionalProperties: false,
          properties: { since: { type: 'string', format: 'date-time' } },
        },
        response: { 200: processesSchema, ...commonErrors },
      },
    },
    async ({ query }) =>
      processesToWire(memory.processes(query.since === undefined ? 0 : Date.parse(query.since))),
  );

  app.post(
    '/v1/memory/cleanup',
    {
      schema: {
        summary: 'Give back now what nobody needs; the reply is the receipt',
        tags: ['memory'],
        response: { 200: receiptSchema, ...commonErrors },
      },
    },
    async () => receiptToWire(await memory.cleanup()),
  );

  app.post(
    '/v1/memory/recycle',
    {
      schema: {
        summary: 'Replace every worker, unload every model, clear the in-process caches',
        tags: ['memory'],
        response: { 200: receiptSchema, ...commonErrors },
      },
    },
    async () => receiptToWire(await memory.recycle()),
  );

  app.get(
    '/v1/models',
    {
      schema: {
        summary: 'Every model in the repository',
        tags: ['models'],
        response: {
          200: { type: 'object', properties: { models: { type: 'array', items: modelSchema } } },
          ...commonErrors,
        },
      },
    },
    async () => ({ models: (await models.list()).map(modelToWire) }),
  );

  app.get<{ Params: { readonly '*': string } }>(
    '/v1/models/*',
    {
      schema: {
        summary: 'One model ({id}), with everything that was decided about it and why',
        tags: ['models'],
        response: { 200: modelDetailSchema, ...commonErrors },
      },
    },
    async ({ params }) => modelDetailToWire(await models.show(params['*'])),
  );

  // Model names hold slashes, so the last part of the path is told apart by hand.
  app.post<{ Params: { readonly '*': string } }>(
    '/v1/models/*',
    {
      schema: {
        summary: 'Open ({id}/load) or release ({id}/unload) a model in the workers',
        tags: ['models'],
        response: { 200: modelSchema, ...commonErrors },
      },
    },
    async (request) => {
      const parts = /^(.+)\/(load|unload)$/.exec(request.params['*']);
      const [, id, action] = parts ?? [];
      if (id === undefined) {
        const message =
          'the addresses of a model are /v1/models/{id}/load and /v1/models/{id}/unload';
        throw new PlimsollError('NOT_FOUND', message);
      }
      return modelToWire(await (action === 'load' ? models.load(id) : models.unload(id)));
    },
  );
}
