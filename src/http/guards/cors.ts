import type { FastifyInstance } from 'fastify';

const PREFLIGHT = {
  'access-control-allow-methods': 'GET, HEAD, POST, DELETE',
  'access-control-allow-headers':
    'authorization, x-api-key, api-key, content-type, content-encoding, x-plimsoll-session, x-plimsoll-user',
  'access-control-max-age': '600',
};
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
 */
export function allowOrigins(app: FastifyInstance, origins: ReadonlySet<string>): void {
  if (origins.size === 0) return;
  app.addHook('onRequest', (request, reply, done) => {
    const { origin } = request.headers;
    void reply.header('vary', 'Origin');
    if (origin === undefined || !origins.has(origin)) return done();
    void reply
      .header('access-control-allow-origin', origin)
      .header('access-control-expose-headers', EXPOSED);
    const isPreflight =
      request.method === 'OPTIONS' &&
      request.headers['access-control-request-method'] !== undefined;
    if (!isPreflight) return done();
    void reply.headers(PREFLIGHT).code(204).send();
  });
}
