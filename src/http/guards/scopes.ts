import type { FastifyInstance } from 'fastify';
import type { NeededScope } from '../../keys/key.js';

/**
 * What a caller needs to reach a route, where keys are on:
 *
 * - `open`: nothing.
 * - `any`: any key.
 * - `classify`: a key that may ask models.
 * - `read`: a key that may see sessions, records, metrics and the page.
 * - `manage`: a key that may load, recycle, pull, prove and make keys.
 */
export type RouteScope = NeededScope;

/** One line of the table of routes and scopes. */
export interface ScopedRoute {
  readonly methods: readonly string[];
  readonly url: string;
  readonly scope: RouteScope;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Every route has one: see {@link requireScopes}. */
    scope?: RouteScope;
  }
}

/** Gives the scope to every route that is added to this instance from now on and has none, as those of plugins. */
export function declareScope(app: FastifyInstance, scope: RouteScope): void {
  app.addHook('onRoute', (route) => {
    route.config = { scope, ...route.config };
  });
}

/**
 * The server does not start while a route has no scope: a forgotten one would stand open. Call it before routes
 * are added.
 *
 * @returns the table of routes, complete once the server is ready.
 */
export function requireScopes(app: FastifyInstance): () => readonly ScopedRoute[] {
  const routes: RouteFacts[] = [];
  app.addHook('onRoute', (route) => void routes.push(route));
  const table = () =>
    routes.map(({ method, url, config }): ScopedRoute => {
      const scope = config?.scope;
      const methods = [method].flat();
      if (scope === undefined) throw new Error(`${methods.join(', ')} ${url} has no scope`);
      return { methods, url, scope };
    });
  app.addHook('onReady', async () => void table());
  return table;
}

interface RouteFacts {
  readonly method: string | string[];
  readonly url: string;
  readonly config?: { scope?: RouteScope };
}
