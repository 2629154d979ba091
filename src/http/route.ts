import type { FastifyContextConfig, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { errorSchema } from '../contract/errors.js';
import { type Schema, type Static, text } from '../contract/schema/schema.js';
import type { RouteScope } from './guards/scopes.js';

declare const WRITTEN: unique symbol;

/** JSON that was written by hand; only who wrote it can say of which type it is. */
export type JsonText<T> = string & { readonly [WRITTEN]: T };

/** Schemas of the replies by their status; errors need none, all routes of a door have them alike. */
export type Replies = Readonly<Record<number, Schema<unknown>>>;

/** One route: its address, its part of the contract, and what answers. */
export interface Route<P, Q, B, R extends Replies> {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  /** What a caller's key must allow, where keys are on. */
  readonly scope: RouteScope;
  readonly summary: string;
  /** Where /openapi.json groups it. */
  readonly tag: string;
  readonly path?: Schema<P>;
  readonly query?: Schema<Q>;
  readonly body?: Schema<B>;
  /** In place of `body`, where the handler checks it by itself: described, and not checked by its schema. */
  readonly bodyCheckedByHandler?: Schema<unknown>;
  /** Bytes may follow the JSON of a body or of a reply, whose content type is then another one. */
  readonly mayHoldBytes?: true;
  readonly replies: R;
  /** The shape of its errors, where it is not ours. */
  readonly errors?: Schema<unknown>;
  /** Content type of the replies, where they are not JSON. */
  readonly produces?: string;
  /** Its long replies may be packed though others' data are in them: they are numbers alone. See `packReplies`. */
  readonly packed?: true;
  /** By default a GET is there for HEAD too. */
  readonly withoutHead?: boolean;
  /** Answers with one of the shapes in `replies`: as it is, as its JSON, or through fastify's own reply. */
  readonly handle: (
    request: FastifyRequest<{ Params: P; Querystring: Q; Body: B }>,
    reply: FastifyReply,
  ) => Answered<R> | Promise<Answered<R>>;
}

type Answered<R extends Replies> = Static<R[keyof R]> | JsonText<Static<R[keyof R]>> | FastifyReply;

/** Adds a route. All routes of the server's interface are added here, so all are described and checked alike. */
export function addRoute<P, Q, B, const R extends Replies>(
  app: FastifyInstance,
  route: Route<P, Q, B, R>,
): void {
  const { method, url, scope, summary, tag, path, query, body, produces, handle } = route;
  const { errors = errorSchema } = route;
  const replies = withErrors(route.replies, errors);
  app.route<{ Params: P; Querystring: Q; Body: B }>({
    method,
    url,
    config: {
      scope,
      ...(route.packed === undefined ? {} : { packed: true }),
      ...describedBody(route),
    },
    ...(route.withoutHead === true ? { exposeHeadRoute: false } : {}),
    schema: {
      summary,
      tags: [tag],
      ...(path === undefined ? {} : { params: path }),
      ...(query === undefined ? {} : { querystring: query }),
      ...(body === undefined ? {} : { body }),
      response: {
        ...(route.mayHoldBytes === true ? withBytes(replies) : described(replies, produces)),
        '4xx': errors,
        '5xx': errors,
      },
    },
    handler: handle,
  });
}

/** Only the description of the interface shows the body: fastify would check what it finds in the route's own schema. */
function describedBody({
  bodyCheckedByHandler: schema,
  mayHoldBytes,
}: Pick<Route<unknown, unknown, unknown, Replies>, 'bodyCheckedByHandler' | 'mayHoldBytes'>): Pick<
  FastifyContextConfig,
  'swaggerTransform'
> {
  if (schema === undefined) return {};
  const body = mayHoldBytes === true ? { content: jsonOrBytes(schema) } : schema;
  return {
    swaggerTransform: (of) => ({ url: of.url, schema: { ...of.schema, body } }),
  };
}

/** JSON, or JSON with bytes behind it. */
function jsonOrBytes(schema: Schema<unknown>) {
  return {
    'application/json': { schema },
    'application/octet-stream': {
      schema: text({
        contentMediaType: 'application/octet-stream',
        description: 'The same JSON, and bytes behind it.',
      }),
    },
  };
}

function withBytes(replies: Replies): Readonly<Record<string, object>> {
  return Object.fromEntries(
    Object.entries(replies).map(([status, schema]) => {
      const { description = 'Default Response' } = schema;
      return [status, { description, content: jsonOrBytes(schema) }];
    }),
  );
}

/** A status that a route answers with by itself may also be an error's: a stopping server refuses everything with 503. */
function withErrors(replies: Replies, errors: Schema<unknown>): Replies {
  const all = Object.entries(replies).map(([status, schema]) => {
    if (Number(status) < 400) return [status, schema];
    const { description = 'Default Response' } = schema;
    return [status, { description, anyOf: [schema, errors] }];
  });
  return Object.fromEntries(all);
}

/** Errors are JSON, whatever a route produces. */
function described(
  replies: Replies,
  produces: string | undefined,
): Readonly<Record<string, object>> {
  if (produces === undefined) return replies;
  return Object.fromEntries(
    Object.entries(replies).map(([status, schema]) => {
      const { description = 'Default Response' } = schema;
      return [status, { description, content: { [produces]: { schema } } }];
    }),
  );
}
