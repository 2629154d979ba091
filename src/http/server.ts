import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import fastify, { type FastifyInstance, type onSendHookHandler } from 'fastify';
import { PlimsollError } from '../errors.js';
import { Turns } from '../inference/yielding.js';
import { cacheRoutes } from './doors/plimsoll/cache.js';
import { classifyRoutes } from './doors/plimsoll/classify.js';
import { configRoutes } from './doors/plimsoll/config.js';
import { eventRoutes } from './doors/plimsoll/events.js';
import { memoryRoutes } from './doors/plimsoll/memory.js';
import { poolRoutes } from './doors/plimsoll/pools.js';
import { proofRoutes } from './doors/plimsoll/proofs.js';
import { recordRoutes } from './doors/plimsoll/records.js';
import { sessionRoutes } from './doors/plimsoll/sessions.js';
import { tokenizeRoutes } from './doors/plimsoll/tokenize.js';
import { workerRoutes } from './doors/plimsoll/workers.js';
import { asPlimsollError, errorBody, type FaultLog, replyWithError } from './errors.js';
import { jsonBody } from './json-body.js';
import { CONTENT_SECURITY_POLICY, DATA_HEADERS, DOCS_SECURITY_POLICY, pageRoutes } from './page.js';
import { secureReplies } from './security-headers.js';
import type { HttpServices } from './services.js';
import { type Refusal, siteGuard } from './site-guard.js';

export interface ServerOptions {
  readonly bodyLimitBytes: number;
  readonly maxConnections: number;
  /** The address to listen on. */
  readonly host: string;
  /** Further names of the server, see {@link siteGuard}. */
  readonly names: readonly string[];
  readonly version: string;
  /** Folder of the built page; without one `/` leads to the documentation. */
  readonly pageFolder: string;
  readonly logger: FaultLog;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** By `performance.now()`. */
    arrivedMs: number;
  }
}

/** Time in which a whole request must have arrived: slow senders cannot hold connections. */
const REQUEST_TIMEOUT_MS = 30_000;

/** A longer part of an address is refused by its own schema, which names it. */
const MAX_PARAM_LENGTH = 8192;

/** The HTTP server with every route; not listening yet. */
export async function buildServer(
  options: ServerOptions,
  services: HttpServices,
): Promise<FastifyInstance> {
  const app = fastify({
    // A logger for each request costs more than many a request: faults are logged where errors are written.
    logger: false,
    bodyLimit: options.bodyLimitBytes,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    // Node would answer a missing Host with an empty 400: see withoutHost.
    http: { requireHostHeader: false },
    // Fastify's own refusals are not in our envelope: see whileClosing and frameworkErrors.
    return503OnClosing: false,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    frameworkErrors: (error, request, reply) => {
      void replyWithError(asPlimsollError(error, undefined, 0), request, reply, options.logger);
    },
    ajv: {
      customOptions: { coerceTypes: false, removeAdditional: false, allowUnionTypes: true },
    },
    clientErrorHandler: (error, socket) => {
      // The request could not even be parsed: there is no reply object to answer with.
      if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return;
      const late = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
      const message = late ? 'the request took too long to arrive' : 'this is not HTTP';
      const body = JSON.stringify(errorBody(new PlimsollError('INVALID_REQUEST', message)));
      socket.end(
        `HTTP/1.1 ${late ? '408 Request Timeout' : '400 Bad Request'}\r\nContent-Type: application/json\r\n` +
          `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      );
    },
  });
  app.server.maxConnections = options.maxConnections;
  acceptJson(app);
  renderErrors(app, services, options.logger);
  countRequests(app, services);
  beginRequests(app, [whileClosing(app), withoutHost(app), siteGuard(options.host, options.names)]);
  await describe(app, options.version);
  dataRoutes(app, services);
  await app.register((documents, _options, done) => {
    documentRoutes(documents, options.pageFolder).then(() => done(), done);
  });
  return app;
}

/** What a browser shows: the page and the documentation. */
async function documentRoutes(app: FastifyInstance, pageFolder: string): Promise<void> {
  secureReplies(app, { contentSecurityPolicy: CONTENT_SECURITY_POLICY });
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: DOCS_SECURITY_POLICY });
  await pageRoutes(app, pageFolder);
}

/** What answers with data. */
function dataRoutes(app: FastifyInstance, services: HttpServices): void {
  classifyRoutes(app, services);
  sessionRoutes(app, services);
  recordRoutes(app, services);
  memoryRoutes(app, services);
  tokenizeRoutes(app, services);
  poolRoutes(app, services);
  configRoutes(app, services);
  workerRoutes(app, services);
  eventRoutes(app, services);
  cacheRoutes(app, services);
  proofRoutes(app, services);
  healthRoutes(app, services);
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger());
}

/** Bodies above this are parsed one in each turn of the event loop: one takes milliseconds, and ten may come at once. */
const LARGE_BODY_BYTES = 128 * 1024;

/** A POST that needs no body may come with the JSON content type and no byte of JSON. */
function acceptJson(app: FastifyInstance): void {
  const parse = jsonBody(app.getDefaultJsonParser('error', 'error'));
  const turns = new Turns();
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const goOn = () => void parse(request, String(body), done);
    if (body.length === 0) done(null, undefined);
    else if (body.length > LARGE_BODY_BYTES) void turns.next().then(goOn);
    else goOn();
  });
}

function renderErrors(app: FastifyInstance, { limits }: HttpServices, log: FaultLog): void {
  app.setErrorHandler((error, request, reply) =>
    replyWithError(asPlimsollError(error, request.body, limits.maxInputs), request, reply, log),
  );
  app.setNotFoundHandler((request, reply) => {
    const message = `there is no ${request.method} ${request.url.slice(0, 200)}; /docs lists every address`;
    return replyWithError(new PlimsollError('NOT_FOUND', message), request, reply, log);
  });
}

/**
 * What comes before everything else of a request: its time, the headers of its reply, which refusals
 * get too, and the refusals in their order. All in one hook, as each costs a round through fastify.
 */
function beginRequests(app: FastifyInstance, refusals: readonly Refusal[]): void {
  app.decorateRequest('arrivedMs', 0);
  app.addHook('onRequest', (request, reply, done) => {
    request.arrivedMs = performance.now();
    void reply.headers(DATA_HEADERS);
    for (const refusal of refusals) {
      const error = refusal(request);
      if (error !== undefined) return done(error);
    }
    done();
  });
}

/** Requests that arrive on open connections while the server stops are refused; those that run go on. */
function whileClosing(app: FastifyInstance): Refusal {
  let closing = false;
  app.addHook('preClose', async () => {
    closing = true;
  });
  return () => {
    if (!closing) return undefined;
    const message = 'the server is stopping';
    return new PlimsollError('SHUTTING_DOWN', message, { retryAfterSeconds: 1 });
  };
}

/** RFC 9112, section 3.2: HTTP/1.1 without Host is refused. Unknown expectations are ignored, as RFC 9110 allows. */
function withoutHost(app: FastifyInstance): Refusal {
  app.server.on('checkExpectation', (request, response) => {
    app.server.emit('request', request, response);
  });
  return ({ raw }) => {
    if (raw.httpVersion !== '1.1' || raw.headers.host !== undefined) return undefined;
    return new PlimsollError('INVALID_REQUEST', 'the Host header is missing');
  };
}

function countRequests(app: FastifyInstance, { metrics }: HttpServices): void {
  // When the answer is handed over, and not when it has left: to be told of that costs more.
  const count = (url: string): onSendHookHandler => {
    return ({ arrivedMs }, { statusCode }, _payload, done) => {
      metrics.requests.add(url, statusCode, (performance.now() - arrivedMs) / 1000);
      done();
    };
  };
  // A hook for each route: a request that is asked for its route's address puts all its options together.
  const counting = new Set<unknown>();
  app.addHook('onRoute', (route) => {
    const hook = count(route.url);
    counting.add(hook);
    // The route for HEAD is a copy of that for GET, with its hooks.
    const others = [route.onSend ?? []].flat().filter((other) => !counting.has(other));
    route.onSend = [hook, ...others];
  });
  app.addHook('onSend', (request, reply, payload, done) => {
    if (request.is404) count('none').call(app, request, reply, payload, done);
    else done();
  });
}

async function describe(app: FastifyInstance, version: string): Promise<void> {
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
      'openapiObject' in document ? withModelPaths(document.openapiObject) : document.swaggerObject,
  });
}

/** The router tells the two addresses of a model apart by hand; callers see both. */
function withModelPaths<T extends { paths?: Record<string, unknown> }>(document: T): T {
  const { [MODEL_ROUTE]: route, ...paths } = document.paths ?? {};
  if (typeof route !== 'object' || route === null || !('post' in route)) return document;
  const parameter = { in: 'path', name: 'id', required: true, schema: { type: 'string' } };
  for (const [verb, summary] of [
    ['load', 'Open a model in the workers'],
    ['unload', 'Release a model in the workers, unless someone waits for it'],
  ] as const) {
    const post = { ...(route.post as object), summary, parameters: [parameter] };
    paths[`/v1/models/{id}/${verb}`] = { post };
  }
  return { ...document, paths };
}

/** How the plugin writes `/v1/models/*`. */
const MODEL_ROUTE = '/v1/models/{*}';

function healthRoutes(app: FastifyInstance, services: HttpServices): void {
  const tags = ['health'];
  app.get('/health/live', { schema: { summary: 'The process answers', tags } }, async () => ({
    status: 'live',
  }));
  app.get(
    '/health/ready',
    { schema: { summary: 'Requests can be taken; degraded: without another server', tags } },
    async (_request, reply) => {
      const reason = services.notReadyBecause();
      const degraded = services.degradedBecause();
      if (reason === '' && degraded.length > 0) return { status: 'degraded', reasons: degraded };
      if (reason === '') return { status: 'ready' };
      reply.code(503).header('retry-after', '1');
      return { status: 'not ready', reason };
    },
  );
  app.get(
    '/metrics',
    { schema: { summary: 'Prometheus metrics', tags, produces: ['text/plain'] } },
    async (_request, reply) => {
      reply.type(services.metrics.registry.contentType);
      return services.metrics.registry.metrics();
    },
  );
}
