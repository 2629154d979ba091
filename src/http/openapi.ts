import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { markSchema, pageStateSchema } from '../contract/events.js';

/** How the plugin writes `/v1/models/*`. */
const MODEL_ROUTE = '/v1/models/{*}';

/** Collects the routes that are added from now on into the description of the interface. */
export async function describeRoutes(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Plimsoll',
        version,
        description: 'Classification under a load line. MB are 2^20 bytes.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
    },
    transformObject: (document) =>
      'openapiObject' in document
        ? withMessages(withOptionalBodies(withNamedParts(withModelPaths(document.openapiObject))))
        : document.swaggerObject,
  });
}

/** `/openapi.json` */
export function openApiRoute(app: FastifyInstance): void {
  const config = { scope: 'open' } as const;
  app.get('/openapi.json', { config, schema: { hide: true } }, async () => app.swagger());
}

/** The router takes all addresses of a model as one, as ids hold slashes; callers see each. */
function withModelPaths<T extends { paths?: Record<string, unknown> }>(document: T): T {
  const { [MODEL_ROUTE]: route, ...paths } = document.paths ?? {};
  if (typeof route !== 'object' || route === null || !('post' in route)) return document;
  const parameter = { in: 'path', name: 'id', required: true, schema: { type: 'string' } };
  for (const [verb, summary] of [
    ['load', 'Open a model in the workers'],
    ['unload', 'Release a model in the workers, unless a request waits for it'],
  ] as const) {
    const post = { ...(route.post as object), summary, parameters: [parameter] };
    paths[`/v1/models/{id}/${verb}`] = { post };
  }
  if ('get' in route) {
    const get = { ...(route.get as object), parameters: [parameter] };
    paths['/v1/models/{id}'] = { get };
  }
  return { ...document, paths };
}

/** Addresses whose rest is no id alone: what it is. Elsewhere it is the id of a model, with its slashes. */
const RESTS: readonly (readonly [RegExp, string])[] = [
  [/^\/tei\//, 'model_and_action'],
  [/^\/v2\/models\//, 'model_and_action'],
  [/^\/v2\/repository\/models\//, 'model_and_action'],
];

/** The plugin writes the rest of an address as `{*}`, which is no name of a parameter. */
function withNamedParts<T extends { paths?: Record<string, unknown> }>(document: T): T {
  const paths = Object.entries(document.paths ?? {}).map(([address, verbs]) => {
    if (!address.includes('{*}') || typeof verbs !== 'object' || verbs === null) {
      return [address, verbs] as const;
    }
    const name = RESTS.find(([pattern]) => pattern.test(address))?.[1] ?? 'id';
    const named = Object.entries(verbs).map(([verb, of]) => [verb, withParameter(of, name)]);
    return [address.replace('{*}', `{${name}}`), Object.fromEntries(named)] as const;
  });
  return { ...document, paths: Object.fromEntries(paths) };
}

function withParameter(operation: object, name: string): object {
  if (!('parameters' in operation) || !Array.isArray(operation.parameters)) return operation;
  const parameters = operation.parameters.map((one: object) =>
    'name' in one && one.name === '*' ? { ...one, name } : one,
  );
  return { ...operation, parameters };
}

/** The plugin says of every body that it must be there; one that may be null may be left out. */
function withOptionalBodies<T extends { paths?: Record<string, unknown> }>(document: T): T {
  const paths = Object.entries(document.paths ?? {}).map(([address, verbs]) => {
    if (typeof verbs !== 'object' || verbs === null) return [address, verbs] as const;
    const all = Object.entries(verbs as Record<string, Operation>).map(([verb, operation]) => {
      const { requestBody } = operation;
      if (requestBody === undefined || !mayBeLeftOut(requestBody)) return [verb, operation];
      return [verb, { ...operation, requestBody: { ...requestBody, required: false } }];
    });
    return [address, Object.fromEntries(all)] as const;
  });
  return { ...document, paths: Object.fromEntries(paths) };
}

interface Operation {
  readonly requestBody?: RequestBody;
}

interface RequestBody {
  readonly content?: Readonly<Record<string, { readonly schema?: { readonly type?: unknown } }>>;
}

function mayBeLeftOut({ content = {} }: RequestBody): boolean {
  return Object.values(content).some(
    ({ schema }) => Array.isArray(schema?.type) && schema.type.includes('null'),
  );
}

/** OpenAPI has no place for the messages of a stream: they are described among the components. */
function withMessages<T extends { components?: object }>(document: T): T {
  const schemas = { PageState: pageStateSchema, Mark: markSchema };
  return { ...document, components: { ...document.components, schemas } };
}
