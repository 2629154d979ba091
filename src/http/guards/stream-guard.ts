import type { FastifyRequest } from 'fastify';
import { allows } from '../../keys/key.js';
import { credentialOf } from './credentials.js';
import type { KeyCheck } from './key-guard.js';
import type { RouteScope } from './scopes.js';

/**
 * How often the key of an open stream is looked at. Keys are read three times a second, so a stream ends within a second of
 * its key, whether that was revoked, replaced, narrowed or has expired.
 */
const LOOK_EVERY_MS = 250;

/**
 * Ends a stream once its key would no longer open it. A request's key is checked when it arrives, and a stream goes on for
 * hours after that. It stops by itself when the reply closes.
 *
 * @param end is called once.
 */
export function endWithKey(request: FastifyRequest, check: KeyCheck, end: () => void): void {
  const { socket } = request.raw;
  if (socket.destroyed) return;
  const scope = request.routeOptions.config.scope ?? 'manage';
  const secret = credentialOf(request.raw.headers);
  const timer = setInterval(() => {
    if (mayGoOn(check, secret, scope, Date.now())) return;
    clearInterval(timer);
    end();
  }, LOOK_EVERY_MS).unref();
  socket.once('close', () => clearInterval(timer));
}

/**
 * Whether a stream may go on:
 *
 * 1. Keys are off, or not known: it may.
 * 2. It was opened without a key: it may while nobody needs one.
 * 3. Its key must be valid still, and have the scope.
 */
export function mayGoOn(
  check: Pick<KeyCheck, 'need' | 'find'>,
  secret: string | undefined,
  scope: RouteScope,
  nowMs: number,
): boolean {
  const need = check.need();
  if (need === 'off' || need === 'unknown') return true; // 1
  if (secret === undefined) return need === 'none'; // 2
  const found = check.find(secret, nowMs);
  return found.kind === 'valid' && allows(found.caller.scopes, scope); // 3
}
