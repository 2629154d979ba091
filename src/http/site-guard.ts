import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { EVENTS_URL } from '../contract/events.js';
import { PlimsollError } from '../errors.js';

/** Methods that change nothing. */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Why a request may not go on; undefined if it may. */
export type Refusal = (request: FastifyRequest) => PlimsollError | undefined;

export interface GuardedRequest {
  readonly method: string;
  /** Address of its route, without parameters filled in. */
  readonly route: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

/**
 * Keeps web pages of others from using this server through the browser of someone who can reach it.
 * What sends neither `Origin` nor `Sec-Fetch-Site` (curl, servers) is no browser and passes.
 *
 * @param listensOn the address that the server listens on.
 * @param names further names of the server.
 * @returns why a request is refused, if it is.
 */
export function siteGuard(listensOn: string, names: readonly string[]): Refusal {
  const known = knownHosts(listensOn, names);
  return (request) => {
    const { method, headers } = request;
    // The route is put together anew each time it is asked for, and only safe methods ask.
    const route = SAFE_METHODS.has(method) ? request.routeOptions.url : undefined;
    return refusalOf({ method, route, headers }, known);
  };
}

/**
 * Which names `Host` may give; undefined where any may. A server on the loopback interface has no name
 * in public: a page whose name is made to lead here (DNS rebinding) would count as the server's own.
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
 * 1. A `Host` that is neither one of the known ones nor loopback is refused, where hosts are known.
 * 2. What changes nothing passes. The stream of events does not: it takes one of few places.
 * 3. The browser's own word (`Sec-Fetch-Site`) decides, if it is there: `same-origin`, or `none` for
 *    what the user typed.
 * 4. Else `Origin` decides: it must be this server by the name in `Host`.
 */
export function refusalOf(
  { method, route, headers }: GuardedRequest,
  known: ReadonlySet<string> | undefined,
): PlimsollError | undefined {
  const host = headers.host ?? '';
  const name = nameOf(host);
  if (known !== undefined && host !== '' && !known.has(name) && !isLoopback(name)) {
    const message = `this server is not called "${name.slice(0, 100)}" (http.names)`;
    return new PlimsollError('UNKNOWN_HOST', message);
  }
  if (SAFE_METHODS.has(method) && route !== EVENTS_URL) return undefined;
  const site = headers['sec-fetch-site'];
  const origin = headers.origin;
  if (site === 'same-origin' || site === 'none') return undefined;
  if (site === undefined && (origin === undefined || isSame(origin, host))) return undefined;
  const who = origin === undefined ? 'another site' : `"${origin.slice(0, 100)}"`;
  return new PlimsollError('CROSS_SITE', `a page of ${who} may not ask for this`);
}

/** The host that was asked for last, and its name: nearly all callers ask for one. */
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

function isLoopback(name: string): boolean {
  return /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|::1)$/.test(name);
}

/** Whether the origin is the host; the scheme may differ, as a proxy in front may add TLS. */
function isSame(origin: string, host: string): boolean {
  if (!URL.canParse(origin)) return false;
  const { host: from, protocol } = new URL(origin);
  // The URL has dropped the port where it is its scheme's own; so does this.
  return URL.canParse(`${protocol}//${host}`) && new URL(`${protocol}//${host}`).host === from;
}
