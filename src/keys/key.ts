import { hash, randomBytes } from 'node:crypto';
import type { KeyScope } from '../contract/service.js';

/** What a caller proves who it is with; the secret itself is kept nowhere. */
export interface Key {
  readonly name: string;
  /** SHA-256 of the secret, in hex. */
  readonly digest: string;
  readonly scopes: readonly KeyScope[];
  readonly requestsPerSecond: number | undefined;
  readonly inputsPerMinute: number | undefined;
  /** Undefined for keys of the file. */
  readonly createdAtMs: number | undefined;
  readonly expiresAtMs: number | undefined;
  readonly revokedAtMs: number | undefined;
  /** The secret before the last rotation, and until when it is valid. */
  readonly old: { readonly digest: string; readonly untilMs: number } | undefined;
  readonly from: 'database' | 'file';
}

/** A key's name is shown, logged, and stands for the user where none is named. */
export const KEY_NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;
export const KEY_NAME_BOUNDS =
  'letters, digits and . _ @ -, at most 64, beginning with a letter or a digit';

/** By which secret scanners, and people, recognise one of ours. */
const PREFIX = 'plim_';
const SECRET_BYTES = 32;

/** A new secret: 256 random bits. */
export function newSecret(): string {
  return `${PREFIX}${randomBytes(SECRET_BYTES).toString('base64url')}`;
}

/**
 * What is kept of a secret. One round of SHA-256 is enough, as nobody can guess 256 random bits; a slow hash
 * (scrypt, Argon2) protects passwords that people choose, and would cost each first request of a connection
 * many milliseconds.
 */
export function digestOf(secret: string): string {
  return hash('sha256', secret, 'hex');
}

/** What a route may ask of a caller's key, beside one of the scopes: nothing, or any key. */
export type NeededScope = KeyScope | 'open' | 'any';

/** `manage` includes the others; `classify` and `read` do not include one another. */
export function allows(scopes: readonly KeyScope[], needed: NeededScope): boolean {
  if (needed === 'open' || needed === 'any') return true;
  return scopes.includes(needed) || scopes.includes('manage');
}
