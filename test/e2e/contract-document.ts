/** Checks replies of a server against the description that the server gives of itself. */
import type { IncomingHttpHeaders } from 'node:http';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'vitest';

interface Content {
  readonly content: Readonly<Record<string, { readonly schema: object }>>;
}

export interface Operation {
  readonly summary: string;
  readonly tags?: readonly string[];
  readonly requestBody?: Content;
  /** A reply without content has no body. */
  readonly responses: Readonly<Record<string, Partial<Content> & { readonly description: string }>>;
}

/** `/openapi.json` */
export interface OpenApi {
  readonly openapi: string;
  readonly info: unknown;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

/** Operations by their method and address: `GET /v1/models`. */
export function operationsOf({ paths }: OpenApi): ReadonlyMap<string, Operation> {
  return new Map(
    Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(
        ([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const,
      ),
    ),
  );
}

const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true });
ajv.addFormat('date-time', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

/** A reply may get further properties in later versions; in this one they are a fault. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const inner = Object.fromEntries(
    Object.entries(schema).map(([name, value]) => [name, closed(value)]),
  );
  return 'properties' in schema ? { additionalProperties: false, ...inner } : inner;
}

/** Fails unless the value is what the schema says, and nothing more. */
export function expectToFit(value: unknown, schema: object, what: string): void {
  const validate = ajv.compile(closed(schema) as object);
  validate(value);
  const faults = (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
  );
  expect(faults, `${what}: ${JSON.stringify(value)?.slice(0, 2000)}`).toEqual([]);
}

/** Fails unless the operation describes a reply with this status and type, and the body fits. */
export function expectDescribed(
  operation: Operation,
  reply: { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: unknown },
  what: string,
): void {
  const { responses } = operation;
  const said = responses[`${reply.status}`] ?? responses[`${Math.floor(reply.status / 100)}XX`];
  expect(said, `${what}: ${reply.status} is not described`).toBeDefined();
  if (said !== undefined && said.content === undefined) {
    expect([reply.headers['content-type'], reply.body], what).toEqual([undefined, '']);
    return;
  }
  // Without a type there is no body: null, as far as a schema is concerned.
  const { 'content-type': told } = reply.headers;
  const [type = ''] = (told ?? 'application/json').split(';');
  const body = told === undefined && reply.body === '' ? null : reply.body;
  const schema = said?.content?.[type]?.schema;
  expect(schema, `${what}: ${reply.status} as ${type} is not described`).toBeDefined();
  if (schema !== undefined) expectToFit(body, schema, `${what}: ${reply.status}`);
}
