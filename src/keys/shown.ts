import type { KeyView } from '../contract/service.js';
import type { Key } from './key.js';
import { stateOf } from './stored-keys.js';

/** A key as callers see it: neither its secret nor its digest. @param nowMs milliseconds since 1970. */
export function shownKey(key: Key, nowMs: number): KeyView {
  const at = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString());
  return {
    name: key.name,
    scopes: key.scopes,
    state: stateOf(key, nowMs),
    from: key.from,
    requests_per_second: key.requestsPerSecond ?? null,
    inputs_per_minute: key.inputsPerMinute ?? null,
    created_at: at(key.createdAtMs),
    expires_at: at(key.expiresAtMs),
    revoked_at: at(key.revokedAtMs),
  };
}
