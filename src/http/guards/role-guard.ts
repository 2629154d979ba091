import type { FastifyInstance } from 'fastify';
import { PlimsollError } from '../../errors.js';

/** What this server does in its fleet; the setting `server.role`. */
export type ServerRole = 'all' | 'door' | 'worker';

/** A worker takes orders for jobs, like every server that shares their queue. */
const JOBS = '/v1/jobs';

/**
 * A worker answers no callers: every route that asks models is refused on it, under every protocol. What shows its state stays: health,
 * metrics, lists. Call it before routes are added, and after the guard of the keys: who has no key learns nothing.
 */
export function guardRole(app: FastifyInstance, role: ServerRole): void {
  if (role !== 'worker') return;
  app.addHook('onRoute', (route) => {
    if (route.config?.scope !== 'classify' || route.url.startsWith(JOBS)) return;
    const refuse = (_request: unknown, _reply: unknown, done: (error: Error) => void) =>
      done(notForCallers());
    route.onRequest = [...[route.onRequest ?? []].flat(), refuse];
  });
}

function notForCallers(): PlimsollError {
  const message =
    'this server has the role "worker": it works on jobs and answers no callers; ask one with the role "all" or "door" (GET /v1/fleet lists them)';
  return new PlimsollError('SERVER_ROLE', message);
}
