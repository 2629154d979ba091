import { KEY_SCOPES } from '../contract/service.js';
import type { StoredKey } from '../store/key-table.js';
import type { Key } from './key.js';

/** A key of the database as the server uses it. */
export function keyOf(row: StoredKey): Key {
  const { old_digest: digest, old_until_ms: untilMs } = row;
  const scopes = row.scopes.split(',');
  return {
    name: row.name,
    digest: row.digest,
    // A scope of a later version is none here.
    scopes: KEY_SCOPES.filter((scope) => scopes.includes(scope)),
    requestsPerSecond: row.requests_per_second ?? undefined,
    inputsPerMinute: row.inputs_per_minute ?? undefined,
    createdAtMs: row.created_at_ms,
    expiresAtMs: row.expires_at_ms ?? undefined,
    revokedAtMs: row.revoked_at_ms ?? undefined,
    old: digest === null || untilMs === null ? undefined : { digest, untilMs },
    from: 'database',
  };
}

/** The state of a key that people see. */
export function stateOf(key: Key, nowMs: number): 'valid' | 'expired' | 'revoked' {
  if (key.revokedAtMs !== undefined) return 'revoked';
  return key.expiresAtMs !== undefined && key.expiresAtMs <= nowMs ? 'expired' : 'valid';
}
