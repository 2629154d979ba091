import type { Socket } from 'node:net';
import swaggerUi from '@fastify/swagger-ui';
import fastify, {
  type FastifyInstance,
  type FastifyRequest,
  type FastifyServerOptions,
  type onSendHookHandler,
} from 'fastify';
import { PlimsollError } from '../errors.js';
import { EventLoopYield } from '../inference/yielding.js';
import {
  chosenDoors,
  errorFormOf,
  healthAddresses,
  type OpenOptions,
  openDoors,
  type Refuse,
  replyHeaders,
} from './doors/open-doors.js';
import { asPlimsollError, type FaultLog, ownErrors, replyWithError } from './errors.js';
import { allowOrigins } from './guards/cors.js';
import { guardRoutes, type KeyCheck } from './guards/key-guard.js';
import { type IsProbe, probeCheck } from './guards/probes.js';
import { guardRole, type ServerRole } from './guards/role-guard.js';
import { declareScope, requireScopes, type ScopedRoute } from './guards/scopes.js';
import { type Refusal, siteGuard } from './guards/site-guard.js';
import { keyRoutes } from './key-routes.js';
import { LAZY_FACTORIES, validateLazily } from './lazy-schemas.js';
import { rememberMethods } from './methods.js';
import { describeRoutes, openApiRoute } from './openapi.js';
import { CONTENT_SECURITY_POLICY, DATA_HEADERS, DOCS_SECURITY_POLICY, pageRoutes } from './page.js';
import { secureReplies } from './security-headers.js';
import { serviceRoutes } from './service-routes.js';
import type { HttpServices } from './services.js';
import {
  HEADERS_TIMEOUT_MS,
  limitConnections,
  REQUEST_TIMEOUT_MS,
  TIMEOUT_CHECK_MS,
} from './wire/connections.js';
import { jsonBody } from './wire/json-body.js';
import { stopUnpacking, unpackBodies } from './wire/packed-body.js';
import { packReplies } from './wire/packed-reply.js';
import { takeRestOfBody } from './wire/rest-of-body.js';
import { type TlsFiles, type TlsLog, tlsServer } from './wire/tls.js';
import { replyToUnparsed } from './wire/unparsed.js';

export interface ServerOptions {
  readonly bodyLimitBytes: number;
  readonly maxConnections: number;
  /** The address to listen on. */
  readonly host: string;
  /** Further names of the server, see {@link siteGuard}. */
  readonly names: readonly string[];
  /** As `http.trust_proxy` has it. */
  readonly trustProxy?: string;
  /** Origins whose pages may ask. */
  readonly origins?: ReadonlySet<string>;
  /** Certificate and key, for HTTPS. */
  readonly tls?: TlsFiles;
  /** Who may ask: see {@link guardRoutes}. */
  readonly keys: KeyCheck;
  /** A worker answers no callers. */
  readonly role?: ServerRole;
  /** Names of the doors that are open; all by default. */
  readonly doors?: ReadonlySet<string>;
  readonly version: string;
  /** Folder of the built page; without one `/` leads to the documentation. */
  readonly pageFolder: string;
  readonly logger: FaultLog & TlsLog;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** By `performance.now()`. */
    arrivedMs: number;
  }
  interface FastifyInstance {
    /** Every route with the scope that it needs. */
    scopeTable: () => readonly ScopedRoute[];
  }
}

/** A longer part of an address is refused by its own schema, which names it. */
const MAX_PARAM_LENGTH = 8192;

/** The HTTP server with every route; not listening yet. */
export async function buildServer(
  options: ServerOptions,
  services: HttpServices,
): Promise<FastifyInstance> {
  const app = fastify({
    // Fastify makes a logger for each request, which costs more than a cached answer. Faults are logged in errors.ts.
    logger: false,
    ...trusted(options.trustProxy),
    ...secured(options),
    bodyLimit: options.bodyLimitBytes,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    // Node would answer a missing Host with an empty 400: see withoutHost.
    http: { requireHostHeader: false, connectionsCheckingInterval: TIMEOUT_CHECK_MS },
    // Fastify's own refusals are not in our envelope: see whileClosing and frameworkErrors.
    return503OnClosing: false,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    frameworkErrors: (error, request, reply) => {
      const form = errorFormOf(addressOf(request));
      void replyWithError(
        asPlimsollError(error, undefined, 0),
        request,
        reply,
        options.logger,
        form,
      );
    },
    schemaController: { compilersFactory: LAZY_FACTORIES },
    clientErrorHandler: replyToUnparsed,
  });
  validateLazily(app);
  app.server.headersTimeout = HEADERS_TIMEOUT_MS;
  const isSpare = limitConnections(app.server, options.maxConnections, {
    onStalled: () => services.metrics.stalledAnswers.inc(),
  });
  const methodsOf = rememberMethods(app);
  app.decorate('scopeTable', requireScopes(app));
  acceptJson(app);
  unpackBodies(app);
  const refuse = refusing(services, options.logger);
  renderErrors(app, refuse, methodsOf);
  countRequests(app, services);
  packReplies(app);
  const { host, names, origins = new Set<string>(), trustProxy = 'off' } = options;
  const open = options.doors ?? chosenDoors('all');
  allowOrigins(app, origins, replyHeaders(open));
  const isProbe = probeCheck(healthAddresses(open));
  const site = siteGuard(host, names, { origins, trustsProxy: trustProxy !== 'off', isProbe });
  beginRequests(app, [beyondMaximum(isSpare, isProbe), whileClosing(app), withoutHost(app), site]);
  guardRoutes(app, options.keys);
  guardRole(app, options.role ?? 'all');
  await describeRoutes(app, options.version);
  dataRoutes(app, services, { open, refuse });
  await app.register((documents, _options, done) => {
    documentRoutes(documents, options.pageFolder).then(() => done(), done);
  });
  return app;
}

/** Whose `X-Forwarded-…` count: so many proxies, or those at the addresses. */
function trusted(written = 'off'): Pick<FastifyServerOptions, 'trustProxy'> {
  if (written === 'off') return {};
  if (!/^\d+$/.test(written)) return { trustProxy: written };
  return { trustProxy: (_address, hop) => hop < Number(written) };
}

function secured({ tls, logger }: ServerOptions): Pick<FastifyServerOptions, 'serverFactory'> {
  if (tls === undefined) return {};
  const more = {
    requestTimeout: REQUEST_TIMEOUT_MS,
    requireHostHeader: false,
    connectionsCheckingInterval: TIMEOUT_CHECK_MS,
  };
  return { serverFactory: (handler) => tlsServer(tls, more, handler, logger) };
}

/** Routes that answer with documents: the page and the documentation. */
async function documentRoutes(app: FastifyInstance, pageFolder: string): Promise<void> {
  // A browser opens documents without a key; they hold nothing of this server's, and the page asks for the key.
  declareScope(app, 'open');
  secureReplies(app, { contentSecurityPolicy: CONTENT_SECURITY_POLICY });
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: DOCS_SECURITY_POLICY });
  await pageRoutes(app, pageFolder);
}

/** Routes that answer with data. */
function dataRoutes(app: FastifyInstance, services: HttpServices, doors: OpenOptions): void {
  openDoors(app, services, doors);
  serviceRoutes(app, services);
  keyRoutes(app, services);
  openApiRoute(app);
}

/** Larger bodies are parsed one per turn of the event loop: each takes milliseconds, and ten may arrive at once. */
const LARGE_BODY_BYTES = 128 * 1024;

/** Parses JSON bodies. An empty body with the JSON content type is allowed: some POSTs need none. */
function acceptJson(app: FastifyInstance): void {
  const parse = jsonBody(app.getDefaultJsonParser('error', 'error'));
  const slices = new EventLoopYield();
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const goOn = () => void parse(request, String(body), done);
    if (body.length === 0) done(null, undefined);
    else if (body.length > LARGE_BODY_BYTES) void slices.next().then(goOn);
    else goOn();
  });
}

/** Refusals whose connection is wanted back at once. */
const HURRIED: ReadonlySet<string> = new Set(['TOO_MANY_CONNECTIONS', 'SHUTTING_DOWN']);

/** Answers with errors in the form of the protocol that was asked. */
function refusing({ limits }: HttpServices, log: FaultLog): Refuse {
  return (error, request, reply, form) => {
    const maxInputs = form === ownErrors ? limits.maxInputs : undefined;
    const refusal = asPlimsollError(error, request.body, maxInputs);
    // fastify asks for the end of a connection whose body is too large: what comes after it is as good as ever.
    if (refusal.code === 'BODY_TOO_LARGE') void reply.removeHeader('connection');
    stopUnpacking(request.raw);
    if (!HURRIED.has(refusal.code)) takeRestOfBody(request.raw, reply);
    return replyWithError(refusal, request, reply, log, form);
  };
}

function renderErrors(
  app: FastifyInstance,
  refuse: Refuse,
  methodsOf: (address: string) => readonly string[],
): void {
  app.setErrorHandler((error, request, reply) => refuse(error, request, reply, ownErrors));
  app.setNotFoundHandler((request, reply) => {
    const address = `${request.method} ${request.url.slice(0, 200)}`;
    const form = errorFormOf(addressOf(request));
    const allowed = methodsOf(addressOf(request));
    if (allowed.length === 0 || allowed.includes(request.method)) {
      const message = `there is no ${address}; /docs lists every address`;
      return refuse(new PlimsollError('NOT_FOUND', message), request, reply, form);
    }
    const message = `there is no ${address}; it takes ${allowed.join(', ')}`;
    reply.header('allow', allowed.join(', '));
    return refuse(new PlimsollError('METHOD_NOT_ALLOWED', message), request, reply, form);
  });
}

/** The address of a request without its query. */
function addressOf({ url }: FastifyRequest): string {
  return url.split('?', 1)[0] ?? '';
}

/**
 * The first hook of every request: notes the time, sets the headers of the reply (refusals get them too),
 * then checks the refusals in order. One hook for all, as each hook costs time in every request.
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

/** While every connection is being answered, others get answers to health checks alone. */
function beyondMaximum(isSpare: (socket: Socket) => boolean, isProbe: IsProbe): Refusal {
  return (request) => {
    if (!isSpare(request.raw.socket) || isProbe(request)) return undefined;
    const message = 'every connection is being answered (http.max_connections)';
    return new PlimsollError('TOO_MANY_CONNECTIONS', message, { retryAfterSeconds: 1 });
  };
}

/** Refuses requests that arrive on open connections while the server stops; running requests are finished. */
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

/**
 * RFC 9112, section 3.2: HTTP/1.1 without Host, or with more than one, is refused. Unknown expectations are
 * ignored, as RFC 9110 allows.
 */
function withoutHost(app: FastifyInstance): Refusal {
  app.server.on('checkExpectation', (request, response) => {
    app.server.emit('request', request, response);
  });
  return ({ raw }) => {
    if (hasTwoHosts(raw.rawHeaders)) {
      return new PlimsollError('INVALID_REQUEST', 'there is more than one Host header');
    }
    if (raw.httpVersion !== '1.1' || raw.headers.host !== undefined) return undefined;
    return new PlimsollError('INVALID_REQUEST', 'the Host header is missing');
  };
}

/** Node keeps the first of several; names stand at even places, as they were written. */
function hasTwoHosts(rawHeaders: readonly string[]): boolean {
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at];
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  return hosts > 1;
}

function countRequests(app: FastifyInstance, { metrics }: HttpServices): void {
  // Counted when the reply is handed to the socket: a hook on its end would cost more.
  const count = (url: string): onSendHookHandler => {
    return ({ arrivedMs }, { statusCode }, _payload, done) => {
      metrics.requests.add(url, statusCode, (performance.now() - arrivedMs) / 1000);
      done();
    };
  };
  // One hook per route, which knows the route's address: `request.routeOptions` is built anew on each access.
  const counting = new Set<unknown>();
  app.addHook('onRoute', (route) => {
    const hook = count(route.url);
    counting.add(hook);
    // Fastify copies a GET route with its hooks for HEAD.
    const others = [route.onSend ?? []].flat().filter((other) => !counting.has(other));
    route.onSend = [hook, ...others];
  });
  app.addHook('onSend', (request, reply, payload, done) => {
    if (request.is404) count('none').call(app, request, reply, payload, done);
    else done();
  });
}
