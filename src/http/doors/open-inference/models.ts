import type { FastifyInstance, FastifyRequest } from 'fastify';
import {
  oipConfigSchema,
  oipErrorSchema,
  oipInferReplySchema,
  oipInferSchema,
  oipMetadataSchema,
  oipModelReadySchema,
  oipStatsSchema,
} from '../../../contract/doors/open-inference.js';
import type { ModelDetail } from '../../../contract/models.js';
import { object, text } from '../../../contract/schema/schema.js';
import { PlimsollError } from '../../../errors.js';
import { allows } from '../../../keys/key.js';
import type { Calls } from '../../calls/calls.js';
import { addRoute } from '../../route.js';
import type { HttpServices } from '../../services.js';
import { hasVersion, type ModelAction, type ModelAddress, modelAddress } from './address.js';
import type { Unloads } from './availability.js';
import { Inference } from './infer.js';
import { configOf, metadataOf } from './metadata.js';
import { tag } from './repository.js';
import { statsOf } from './statistics.js';

const errors = oipErrorSchema;
const BELOW = '/v2/models/';
const KNOWN = '{model}, with /versions/1 or without it, then /ready, /config, /stats or nothing';

/** `/v2/models/…` */
export function modelRoutes(
  app: FastifyInstance,
  services: HttpServices,
  calls: Calls,
  unloads: Unloads,
): void {
  viewRoutes(app, services, unloads);
  inferRoute(app, new Inference(services, calls));
}

/** What there is to know of models. */
function viewRoutes(app: FastifyInstance, services: HttpServices, unloads: Unloads): void {
  const { models, metrics } = services;

  addRoute(app, {
    method: 'GET',
    url: '/v2/models/stats',
    scope: 'read',
    summary: 'What was counted of every model',
    tag,
    errors,
    replies: { 200: oipStatsSchema },
    handle: async () => {
      const all = (await models.list()).filter(({ state }) => state !== 'broken');
      return { model_stats: all.map((model) => statsOf(model, metrics.models.of(model.id))) };
    },
  });

  // Ids of models hold slashes, which the router allows at an address's end only: see address.ts.
  addRoute(app, {
    method: 'GET',
    url: '/v2/models/*',
    scope: 'any',
    summary: `One model: ${KNOWN}`,
    tag,
    path: object({ '*': text() }),
    errors,
    replies: {
      200: {
        anyOf: [oipMetadataSchema, oipModelReadySchema, oipConfigSchema, oipStatsSchema],
      },
      503: oipModelReadySchema,
    },
    handle: async ({ raw, caller }, reply) => {
      const address = addressOf(raw.url);
      if (address.action === 'stats') expectReader(caller);
      const model = await models.show(address.model);
      const { status, body } = shownAs(address.action, model, unloads, metrics.models);
      if (status !== 200) reply.code(status);
      return reply.send(body);
    },
  });
}

function inferRoute(app: FastifyInstance, inference: Inference): void {
  addRoute(app, {
    method: 'POST',
    url: '/v2/models/*',
    scope: 'classify',
    summary: 'Ask a model: {model}/infer, or {model}/versions/1/infer',
    tag,
    path: object({ '*': text() }),
    bodyCheckedByHandler: oipInferSchema,
    mayHoldBytes: true,
    errors,
    replies: { 200: oipInferReplySchema },
    handle: (request, reply) => {
      const { model, action } = addressOf(request.raw.url);
      if (action !== 'infer') throw notFound(request.raw.url);
      const { body } = request as { readonly body: unknown };
      return inference.answer(model, body instanceof Buffer ? body : undefined, request, reply);
    },
  });
}

interface Shown {
  readonly status: 200 | 503;
  readonly body: object;
}

/** @throws PlimsollError MODEL_UNUSABLE, METHOD_NOT_ALLOWED */
function shownAs(
  action: ModelAction,
  model: ModelDetail,
  unloads: Unloads,
  statistics: HttpServices['metrics']['models'],
): Shown {
  switch (action) {
    case 'ready':
      return readinessOf(model, unloads);
    case 'config':
      return { status: 200, body: configOf(model) };
    case 'stats':
      return { status: 200, body: { model_stats: [statsOf(model, statistics.of(model.id))] } };
    case 'metadata':
      return { status: 200, body: metadataOf(model) };
    case 'infer':
      throw new PlimsollError('METHOD_NOT_ALLOWED', 'inference is asked for with POST');
  }
}

/** Clients look at the status alone. */
function readinessOf(model: ModelDetail, unloads: Unloads): Shown {
  const { state, reason } = unloads.availabilityOf(model);
  if (state === 'READY') return { status: 200, body: { name: model.id, ready: true } };
  const error = `model ${model.id} is not ready: ${reason}`;
  return { status: 503, body: { name: model.id, ready: false, error } };
}

/** The route is for any key, and figures are for those that may read. @throws PlimsollError FORBIDDEN */
function expectReader(caller: FastifyRequest['caller']): void {
  if (caller === undefined || allows(caller.scopes, 'read')) return;
  const message = `the key "${caller.keyName}" lacks the scope "read" that statistics need`;
  throw new PlimsollError('FORBIDDEN', message);
}

/** @throws PlimsollError NOT_FOUND */
function addressOf(url: string | undefined): ModelAddress {
  const address = modelAddress(url ?? '', BELOW);
  if (address === undefined) throw notFound(url);
  if (hasVersion(address)) return address;
  const message = `model ${address.model} has no version ${address.version}: its only version is 1`;
  throw new PlimsollError('MODEL_NOT_FOUND', message);
}

function notFound(url = ''): PlimsollError {
  const known = `addresses below ${BELOW} are ${KNOWN}; POST {model}/infer asks a model`;
  return new PlimsollError('NOT_FOUND', `there is no ${url.slice(0, 200)}; ${known}`);
}
