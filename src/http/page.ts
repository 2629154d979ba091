import { existsSync } from 'node:fs';
import path from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';

/**
 * What a browser may do with anything of this server: load its own files, and nothing from elsewhere.
 * Styles that scripts set through the object model are not inline styles and stay allowed.
 */
export const CONTENT_SECURITY_POLICY = {
  useDefaults: false,
  directives: {
    defaultSrc: ["'self'"],
    imgSrc: ["'self'", 'data:'],
    objectSrc: ["'none'"],
    baseUri: ["'none'"],
    formAction: ["'self'"],
    frameAncestors: ["'self'"],
  },
};

/**
 * What a browser may do with an answer that is data: show it as such, and nothing else. The page's
 * policy does not apply to it, and helmet, which makes its headers anew for each reply, would cost a
 * third of what a request for a known answer takes. After OWASP's REST Security Cheat Sheet.
 */
export const DATA_HEADERS = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
};

/** The documentation's own viewer sets styles inline. */
export const DOCS_SECURITY_POLICY = {
  'default-src': "'self'",
  'img-src': "'self' data:",
  'style-src': "'self' 'unsafe-inline'",
  'object-src': "'none'",
  'base-uri': "'none'",
  'frame-ancestors': "'self'",
};

/** The names of assets hold a hash of their content: a name never changes its meaning. */
const ASSETS_CACHED_SECONDS = 31_536_000;

/**
 * The page, at `/`, if it has been built into the folder; the documentation if not.
 *
 * @param folder with `index.html` and `assets/`.
 */
export async function pageRoutes(app: FastifyInstance, folder: string): Promise<void> {
  if (!existsSync(path.join(folder, 'index.html'))) {
    app.get('/', { schema: { hide: true } }, async (_request, reply) => reply.redirect('/docs'));
    return;
  }
  const assets = path.join(folder, 'assets', path.sep);
  await app.register(fastifyStatic, {
    root: folder,
    // One address for each file that is there now: whatever else is asked for gets our own 404.
    wildcard: false,
    decorateReply: false,
    cacheControl: false,
    setHeaders: (reply, file) => {
      const cached = file.startsWith(assets);
      const long = `public, max-age=${ASSETS_CACHED_SECONDS}, immutable`;
      // Not cached means asked for each time; what has not changed is not sent again.
      reply.header('cache-control', cached ? long : 'no-cache');
    },
  });
}
