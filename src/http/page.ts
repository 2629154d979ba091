import { existsSync } from 'node:fs';
import path from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';

/**
 * For documents: a browser loads this server's files, and nothing from elsewhere. Styles that scripts set
 * through the object model are not inline styles and stay allowed.
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
 * For data: a browser shows it as data, and does nothing else with it (OWASP, REST Security Cheat Sheet).
 * Constants, as helmet would build its headers for each reply: a third of the time of a cached answer.
 */
export const DATA_HEADERS = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
};

/** For the documentation, whose viewer uses inline styles. */
export const DOCS_SECURITY_POLICY = {
  'default-src': "'self'",
  'img-src': "'self' data:",
  'style-src': "'self' 'unsafe-inline'",
  'object-src': "'none'",
  'base-uri': "'none'",
  'frame-ancestors': "'self'",
};

/** A year: the name of an asset holds a hash of its content. */
const ASSETS_CACHED_SECONDS = 31_536_000;

/**
 * Serves the page at `/`. Where it has not been built, `/` leads to the documentation.
 *
 * @param folder holds `index.html` and `assets/`.
 */
export async function pageRoutes(app: FastifyInstance, folder: string): Promise<void> {
  if (!existsSync(path.join(folder, 'index.html'))) {
    app.get('/', { schema: { hide: true } }, async (_request, reply) => reply.redirect('/docs'));
    return;
  }
  const assets = path.join(folder, 'assets', path.sep);
  await app.register(fastifyStatic, {
    root: folder,
    // A route per file that is there now, so that any other address gets our own 404.
    wildcard: false,
    decorateReply: false,
    cacheControl: false,
    setHeaders: (reply, file) => {
      const cached = file.startsWith(assets);
      const long = `public, max-age=${ASSETS_CACHED_SECONDS}, immutable`;
      // With `no-cache` the browser asks each time, and an unchanged file is not sent again.
      reply.header('cache-control', cached ? long : 'no-cache');
    },
  });
}
