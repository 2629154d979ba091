import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance } from 'fastify';

const PREFLIGHT = {
  'access-control-allow-methods': 'GET, HEAD, POST, DELETE',
  'access-control-max-age': '600',
};
/** What a page may send where its browser asks for nothing, or for what is no list of names. */
const USUAL_HEADERS =
  'authorization, x-api-key, api-key, content-type, content-encoding, x-plimsoll-session, x-plimsoll-user';
/** Clients of some protocols add a dozen headers of their own; more than this many characters is none of them. */
const MAX_REQUESTED_CHARACTERS = 1024;
/** Names of headers (RFC 9110, section 5.1), divided by commas. */
const HEADER_NAMES = /^[\w!#$%&'*+.^`|~-]+(?: *, *[\w!#$%&'*+.^`|~-]+)*$/;
/** What a page may read of any reply. Named one by one: `*` does not count where a key was sent. */
const EXPOSED =
  'retry-after, ratelimit-limit, ratelimit-remaining, ratelimit-reset, x-request-id, x-plimsoll-session';

/** Origins as browsers write them. @throws Error for what is no origin */
export function parseOrigins(written: string): ReadonlySet<string> {
  const words = written.split(',').map((word) => word.trim());
  return new Set(
    words
      .filter((word) => word !== '')
      .map((word) => {
        const origin = URL.canParse(word) ? new URL(word).origin : 'null';
        if (origin !== 'null' && origin === word.replace(/\/$/, '')) return origin;
        throw new Error(`http.cors: "${word}" is no origin such as https://app.example.org`);
      }),
  );
}

/**
 * Lets pages of these origins read replies (WHATWG Fetch, "CORS protocol"). No cookie is ever sent or asked for. Call it before other
 * hooks are added: a preflight has no key.
 *
 * @param ofDoors further headers of replies that these pages may read.
 */
export function allowOrigins(
  app: FastifyInstance,
  origins: ReadonlySet<string>,
  ofDoors: readonly string[] = [],
): void {
  if (origins.size === 0) return;
  const exposed = [EXPOSED, ...ofDoors].join(', ');
  app.addHook('onRequest', (request, reply, done) => {
    const { origin } = request.headers;
    void reply.header('vary', 'Origin');
    if (origin === undefined || !origins.has(origin)) return done();
    void reply
      .header('access-control-allow-origin', origin)
      .header('access-control-expose-headers', exposed);
    const isPreflight =
      request.method === 'OPTIONS' &&
      request.headers['access-control-request-method'] !== undefined;
    if (!isPreflight) return done();
    void reply
      .headers(PREFLIGHT)
      .header('access-control-allow-headers', allowedHeaders(request.headers))
      // A cache must not answer another question with this.
      .header('vary', 'Origin, Access-Control-Request-Headers')
      .code(204)
      .send();
  });
}

/**
 * The headers that a page of a named origin may send: those that its browser asks for. Each protocol's clients have some of
 * their own (`x-stainless-…`, `x-hf-…`), and none lets anybody do what a key and the origin do not. Pure.
 */
export function allowedHeaders(headers: IncomingHttpHeaders): string {
  const requested = headers['access-control-request-headers'];
  const isList =
    requested !== undefined &&
    requested.length <= MAX_REQUESTED_CHARACTERS &&
    HEADER_NAMES.test(requested);
  return isList ? requested : USUAL_HEADERS;
}
