import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { EVENTS_URL } from '../../contract/events.js';
import { PlimsollError } from '../../errors.js';
import { type IsProbe, probeCheck } from './probes.js';

/** Methods that change nothing. */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Why a request is refused; undefined if it is not. */
export type Refusal = (request: FastifyRequest) => PlimsollError | undefined;

export interface GuardedRequest {
  readonly method: string;
  /** Whether who watches the server asks: probes use addresses, not names. */
  readonly isProbe?: boolean;
  /** Address of its route, such as `/v1/sessions/:id`. */
  readonly route: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

/** Beside the server's names. */
export interface SiteOptions {
  /** Whose pages may ask: see `http.cors`. */
  readonly origins?: ReadonlySet<string>;
  /** Whether `X-Forwarded-Host` counts. */
  readonly trustsProxy?: boolean;
  /** Which requests may use any name. */
  readonly isProbe?: IsProbe;
}

/**
 * Keeps pages of other sites from using this server through the browser of somebody who can reach it.
 * A request with neither `Origin` nor `Sec-Fetch-Site` is not from a browser (curl, servers) and passes.
 *
 * @param listensOn the address that the server listens on.
 * @param names further names of the server.
 * @returns why a request is refused, if it is.
 */
export function siteGuard(
  listensOn: string,
  names: readonly string[],
  { origins = new Set(), trustsProxy = false, isProbe = probeCheck() }: SiteOptions = {},
): Refusal {
  const known = knownHosts(listensOn, names);
  return (request) => {
    const { method, raw } = request;
    // With a proxy in front the name that the browser used is in X-Forwarded-Host.
    const headers = trustsProxy ? { ...raw.headers, host: request.host } : raw.headers;
    // Fastify builds `routeOptions` anew on each access, and only safe methods need it.
    const route = SAFE_METHODS.has(method) ? request.routeOptions.url : undefined;
    return refusalOf({ method, route, headers, isProbe: isProbe(request) }, known, origins);
  };
}

/**
 * The names that `Host` may give; undefined where any name is allowed. A server on the loopback interface
 * has no public name: a page whose name is pointed at it (DNS rebinding) would count as the server's own.
 */
export function knownHosts(
  listensOn: string,
  names: readonly string[],
): ReadonlySet<string> | undefined {
  if (names.length === 0 && !isLoopback(listensOn)) return undefined;
  return new Set([listensOn, ...names].map((name) => name.toLowerCase()));
}

/**
 * Decides in this order:
 *
 * 1. Where the server's names are known, but for health and metrics: a `Host` that is neither one of them nor loopback is refused.
 * 2. Safe methods pass, but for the stream of events: it takes one of few places.
 * 3. Pages of the origins in `http.cors` pass.
 * 4. `Sec-Fetch-Site`, if it is there, decides: it must be `same-origin`, or `none` (typed by the user).
 * 5. Otherwise `Origin` decides: it must name the same host as `Host`.
 */
export function refusalOf(
  { method, route, headers, isProbe = false }: GuardedRequest,
  known: ReadonlySet<string> | undefined,
  origins: ReadonlySet<string> = new Set(),
): PlimsollError | undefined {
  const host = headers.host ?? '';
  const name = nameOf(host);
  if (!isProbe && known !== undefined && host !== '' && !known.has(name) && !isLoopback(name)) {
    const message = `this server is not called "${name.slice(0, 100)}" (http.names)`;
    return new PlimsollError('UNKNOWN_HOST', message);
  }
  if (SAFE_METHODS.has(method) && route !== EVENTS_URL) return undefined;
  const site = headers['sec-fetch-site'];
  const origin = headers.origin;
  if (origin !== undefined && origins.has(origin)) return undefined;
  if (site === 'same-origin' || site === 'none') return undefined;
  if (site === undefined && (origin === undefined || isSame(origin, host))) return undefined;
  const who = origin === undefined ? 'another site' : `"${origin.slice(0, 100)}"`;
  return new PlimsollError('CROSS_SITE', `a page of ${who} may not ask for this`);
}

/** The last `Host` and its name: nearly all requests give the same one. */
let last = { host: '', name: '' };

function nameOf(host: string): string {
  if (host !== last.host) last = { host, name: parsedName(host) };
  return last.name;
}

/** `Host` without its port, and an IPv6 address without its brackets. */
function parsedName(host: string): string {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host) ?? [];
  return (bracketed ?? plain ?? host).toLowerCase().replace(/\.$/, '');
}

/** Whether nobody on another machine can reach this address. */
export function isLoopback(name: string): boolean {
  return /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|::1)$/.test(name);
}

/** Whether the origin is this host. The scheme may differ: a proxy in front may add TLS. */
function isSame(origin: string, host: string): boolean {
  if (!URL.canParse(origin)) return false;
  const { host: from, protocol } = new URL(origin);
  // `URL` drops the default port of a scheme; parsing the host the same way drops it there too.
  return URL.canParse(`${protocol}//${host}`) && new URL(`${protocol}//${host}`).host === from;
}
