import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Schema } from '../contract/schema/schema.js';
import { PlimsollError } from '../errors.js';
import type { ErrorForm } from './errors.js';
import type { RouteScope } from './guards/scopes.js';
import type { Replies, Route } from './route.js';

/** A route at an address that several protocols have: `/rerank` is TEI's and vLLM's. */
export interface SharedRoute {
  readonly url: string;
  readonly scope: RouteScope;
  readonly summary: string;
  readonly tag: string;
  /** The field by which a body is known to be this protocol's: no other one at the address has it. */
  readonly mark: string;
  readonly body: Schema<unknown>;
  readonly replies: Replies;
  /** Answers a body that fits the schema. */
  readonly handle: (request: FastifyRequest, reply: FastifyReply) => unknown;
}

/** A shared route and what its door says of itself. */
export interface Claim {
  readonly route: SharedRoute;
  readonly errors: ErrorForm;
  /** Why the door answers nothing; undefined if it is open. */
  readonly closed: PlimsollError | undefined;
}

/**
 * A POST route at an address that other protocols may have too.
 *
 * @param mark a field that every body of this protocol has there, and no body of another one.
 */
export function sharedRoute<B, const R extends Replies>(
  route: Route<unknown, unknown, B, R> & { readonly body: Schema<B> },
  mark: string,
): SharedRoute {
  const { url, scope, summary, tag, body, replies, handle } = route;
  return {
    ...{ url, scope, summary, tag, mark, body, replies },
    // The schema has been checked when this is called.
    handle: (request, reply) => handle(request as Parameters<typeof handle>[0], reply),
  };
}

/**
 * Opens the addresses that several protocols claim. Each has one route, which finds the protocol of a body by
 * its mark, checks the body by that protocol's schema, and answers, or refuses, in that protocol's form.
 *
 * @param claims by the order of the doors: what nobody knows is refused in the form of the first.
 * @param refuse answers with an error in a form.
 */
export function openSharedAddresses(
  app: FastifyInstance,
  claims: readonly Claim[],
  refuse: (
    error: unknown,
    request: FastifyRequest,
    reply: FastifyReply,
    form: ErrorForm,
  ) => FastifyReply,
): void {
  const byUrl = new Map<string, Claim[]>();
  for (const claim of claims) {
    byUrl.set(claim.route.url, [...(byUrl.get(claim.route.url) ?? []), claim]);
  }
  for (const [url, all] of byUrl) {
    const [first] = all;
    if (first === undefined) continue;
    const open = all.filter(({ closed }) => closed === undefined);
    const { body, ...schema } = described(open);
    app.route({
      method: 'POST',
      url,
      schema: open.length === 0 ? { hide: true } : schema,
      // Described, not checked: which schema counts is known when the body is.
      config: {
        scope: first.route.scope,
        swaggerTransform: (of) => ({ url: of.url, schema: { ...of.schema, body } }),
      },
      serializerCompiler: () => (body) => JSON.stringify(body),
      errorHandler: (error, request, reply) => {
        refuse(error, request, reply, (claimOf(request.body, all) ?? first).errors);
      },
      handler: (request, reply) => {
        const claim = claimOf(request.body, all);
        if (claim === undefined) throw unknownBody(url, open);
        if (claim.closed !== undefined) throw claim.closed;
        checkedBody(request, claim.route.body);
        return claim.route.handle(request, reply);
      },
    });
  }
}

function claimOf(body: unknown, claims: readonly Claim[]): Claim | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  return claims.find(({ route }) => Object.hasOwn(body, route.mark));
}

function unknownBody(url: string, open: readonly Claim[]): PlimsollError {
  const marks = open.map(({ route }) => `"${route.mark}" (${route.tag})`).join(' or ');
  const message =
    open.length === 0
      ? `there is no POST ${url}: the protocols that have it are closed (http.doors)`
      : `the body of ${url} needs the field ${marks}`;
  return new PlimsollError(open.length === 0 ? 'NOT_FOUND' : 'INVALID_REQUEST', message);
}

/**
 * Checks a body where its schema is known only when the address, or the body, has been looked at.
 *
 * @throws what fastify throws for a body that does not fit its schema
 */
export function checkedBody<B>(request: FastifyRequest, schema: Schema<B>): B {
  // Fastify compiles a schema at its first use and remembers what it compiled.
  const validate = request.compileValidationSchema(schema, 'body');
  if (validate(request.body)) return request.body as B;
  throw Object.assign(new Error('the body does not fit'), { validation: validate.errors });
}

function described(claims: readonly Claim[]) {
  const oneOr = (schemas: readonly object[]) =>
    schemas.length === 1 ? schemas[0] : { anyOf: schemas };
  const statuses = new Set(claims.flatMap(({ route }) => Object.keys(route.replies)));
  const replies = [...statuses].map((status) => {
    const schemas = claims.map(({ route }) => route.replies[Number(status)]);
    return [status, oneOr(schemas.filter((schema) => schema !== undefined))];
  });
  const errors = oneOr(claims.map(({ errors: { schema } }) => schema));
  return {
    summary: claims.map(({ route }) => route.summary).join('; or: '),
    tags: claims.map(({ route }) => route.tag),
    body: oneOr(claims.map(({ route }) => route.body)),
    response: { ...Object.fromEntries(replies), '4xx': errors, '5xx': errors },
  };
}
