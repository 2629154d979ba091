import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { PlimsollError } from '../errors.js';
import { asPlimsollError, errorBody, replyWithError } from './errors.js';
import { CONTENT_SECURITY_POLICY, DOCS_SECURITY_POLICY, pageRoutes } from './page.js';
import { cacheRoutes } from './routes-cache.js';
import { classifyRoutes } from './routes-classify.js';
import { EVENTS_ROUTE, eventRoutes } from './routes-events.js';
import { memoryRoutes } from './routes-memory.js';
import { poolRoutes } from './routes-pools.js';
import { proofRoutes } from './routes-proofs.js';
import { recordRoutes } from './routes-records.js';
import { sessionRoutes } from './routes-sessions.js';
import { workerRoutes } from './routes-workers.js';
import { secureReplies } from './security-headers.js';
import type { HttpServices } from './services.js';
import { guardSite } from './site-guard.js';

export interface ServerOptions {
  readonly bodyLimitBytes: number;
  readonly maxConnections: number;
  /** The address to listen on. */
  readonly host: string;
  /** Further names of the server, see {@link guardSite}. */
  readonly names: readonly string[];
  readonly version: string;
  /** Folder of the built page; without one `/` leads to the documentation. */
  readonly pageFolder: string;
  readonly logger: FastifyBaseLogger;
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
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: options.bodyLimitBytes,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    // Node would answer a missing Host with an empty 400: see requireHost.
    http: { requireHostHeader: false },
    // Fastify's own refusals are not in our envelope: see refuseWhileClosing and frameworkErrors.
    return503OnClosing: false,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    frameworkErrors: (error, request, reply) => {
      void replyWithError(asPlimsollError(error, undefined, 0), request, reply);
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
  acceptEmptyJson(app);
  renderErrors(app, services);
  countRequests(app, services);
  // Before the hooks that refuse: their replies get the headers too.
  secureReplies(app, { contentSecurityPolicy: CONTENT_SECURITY_POLICY });
  refuseWhileClosing(app);
  requireHost(app);
  guardSite(app, options.host, options.names);
  await describe(app, options.version);
  classifyRoutes(app, services);
  sessionRoutes(app, services);
  recordRoutes(app, services);
  memoryRoutes(app, services);
  poolRoutes(app, services);
  workerRoutes(app, services);
  eventRoutes(app, services);
  cacheRoutes(app, services);
  proofRoutes(app, services);
  healthRoutes(app, services);
  await pageRoutes(app, options.pageFolder);
  return app;
}

/** A POST that needs no body may come with the JSON content type and no byte of JSON. */
function acceptEmptyJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body.length === 0) done(null, undefined);
    else void parse(request, String(body), done);
  });
}

function renderErrors(app: FastifyInstance, { limits }: HttpServices): void {
  app.setErrorHandler((error, request, reply) =>
    replyWithError(asPlimsollError(error, request.body, limits.maxInputs), request, reply),
  );
  app.setNotFoundHandler((request, reply) => {
    const message = `there is no ${request.method} ${request.url.slice(0, 200)}; /docs lists every address`;
    return replyWithError(new PlimsollError('NOT_FOUND', message), request, reply);
  });
}

/** Requests that arrive on open connections while the server stops; those that run go on. */
function refuseWhileClosing(app: FastifyInstance): void {
  let closing = false;
  app.addHook('preClose', async () => {
    closing = true;
  });
  app.addHook('onRequest', (_request, _reply, done) => {
    if (!closing) return done();
    done(new PlimsollError('SHUTTING_DOWN', 'the server is stopping', { retryAfterSeconds: 1 }));
  });
}

/** RFC 9112, section 3.2: HTTP/1.1 without Host is refused. Unknown expectations are ignored, as RFC 9110 allows. */
function requireHost(app: FastifyInstance): void {
  app.addHook('onRequest', ({ raw }, _reply, done) => {
    if (raw.httpVersion !== '1.1' || raw.headers.host !== undefined) return done();
    done(new PlimsollError('INVALID_REQUEST', 'the Host header is missing'));
  });
  app.server.on('checkExpectation', (request, response) => {
    app.server.emit('request', request, response);
  });
}

function countRequests(app: FastifyInstance, { metrics }: HttpServices): void {
  app.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'none';
    // How long a page was open is no response time.
    if (route !== EVENTS_ROUTE || reply.statusCode !== 200) {
      metrics.requests.inc({ route, status: String(reply.statusCode) });
      metrics.requestSeconds.observe({ route }, reply.elapsedTime / 1000);
    }
    done();
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
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: DOCS_SECURITY_POLICY });
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger());
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
