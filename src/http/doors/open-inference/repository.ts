import type { FastifyInstance } from 'fastify';
import {
  oipDoneSchema,
  oipErrorSchema,
  oipIndexReplySchema,
  oipIndexSchema,
  oipLoadSchema,
} from '../../../contract/doors/open-inference.js';
import { object, text } from '../../../contract/schema/schema.js';
import { PlimsollError } from '../../../errors.js';
import { addRoute } from '../../route.js';
import type { HttpServices } from '../../services.js';
import { repositoryAddress } from './address.js';
import type { Unloads } from './availability.js';
import { invalid, NotSupported, shown } from './tensors/datatypes.js';
import { VERSION } from './tensors/reply.js';
import { parsed } from './tensors/request.js';

export const tag = 'open inference';

/** `/v2/repository/…`: Triton's index, load and unload. */
export function repositoryRoutes(
  app: FastifyInstance,
  { models }: HttpServices,
  unloads: Unloads,
): void {
  addRoute(app, {
    method: 'POST',
    url: '/v2/repository/index',
    scope: 'any',
    summary: 'Every model, and whether it is ready; {"ready": true}: only those that are',
    tag,
    bodyCheckedByHandler: oipIndexSchema,
    errors: oipErrorSchema,
    replies: { 200: oipIndexReplySchema },
    handle: async ({ body }) => {
      const ready = bodyOf(body).ready ?? false;
      if (typeof ready !== 'boolean') throw invalid(`ready is ${shown(ready)}, not true or false`);
      const all = (await models.list()).map((model) => {
        const { state, reason } = unloads.availabilityOf(model);
        return { name: model.id, version: VERSION, state, reason };
      });
      return ready ? all.filter(({ state }) => state === 'READY') : all;
    },
  });

  addRoute(app, {
    method: 'POST',
    url: '/v2/repository/models/*',
    scope: 'manage',
    summary: 'Open ({model}/load) or release ({model}/unload) a model in the workers',
    tag,
    path: object({ '*': text() }),
    bodyCheckedByHandler: oipLoadSchema,
    errors: oipErrorSchema,
    replies: { 200: oipDoneSchema },
    handle: async ({ body, raw }) => {
      const address = repositoryAddress(raw.url ?? '');
      if (address === undefined) {
        const message =
          'the addresses of a model are /v2/repository/models/{model}/load and …/unload';
        throw new PlimsollError('NOT_FOUND', message);
      }
      refuseConfig(bodyOf(body));
      if (address.action === 'load') {
        const { id } = await models.load(address.model);
        unloads.loaded(id);
      } else {
        const { id } = await models.unload(address.model);
        unloads.unloaded(id);
      }
      return {};
    },
  });
}

/** The JSON object of a body that may be empty. */
function bodyOf(body: unknown): Readonly<Record<string, unknown>> {
  return body instanceof Buffer && body.length > 0 ? parsed(body) : {};
}

/** A model is what its files say: another configuration, or other files, cannot be sent. */
function refuseConfig({ parameters }: Readonly<Record<string, unknown>>): void {
  if (parameters === undefined || parameters === null) return;
  if (typeof parameters !== 'object' || Array.isArray(parameters)) {
    throw invalid('parameters is not an object');
  }
  const own = Object.entries(parameters).find(
    ([name, value]) => value !== null && (name === 'config' || /^file:/.test(name)),
  );
  if (own === undefined) return;
  throw new NotSupported(`${shown(own[0])} is not supported: a model is what its own files say`);
}
