import { timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { KeyScope } from '../contract/service.js';
import { digestOf, type Key } from './key.js';

/** Credentials that were found valid and are remembered: about 200 bytes each. */
const REMEMBERED = 2048;

/** A key as the path of a request needs it. */
export interface Caller {
  readonly keyName: string;
  readonly scopes: readonly KeyScope[];
  readonly requestsPerSecond: number | undefined;
  readonly inputsPerMinute: number | undefined;
}

/** What a secret is found to be. */
export type Found =
  | { readonly kind: 'valid'; readonly caller: Caller }
  | { readonly kind: 'expired' | 'revoked' | 'unknown' };

interface Entry {
  readonly caller: Caller;
  /** SHA-256 of the secret, in hex. */
  readonly id: string;
  readonly digest: Buffer;
  readonly state: 'valid' | 'revoked';
  /** Milliseconds since 1970; infinite for a key that does not expire. */
  readonly untilMs: number;
}

const UNKNOWN: Found = { kind: 'unknown' };

/**
 * The keys that this server knows now, found by their secret's digest.
 *
 * Comparison in constant time: what is looked up is the digest of what the caller sent, which tells nothing of
 * how much of a secret was right, and the digests are then compared in constant time. Secrets that were valid are
 * remembered, so that a request costs no hashing; V8 seeds the hash of strings anew in each process and compares
 * two strings only where theirs agree, so that no beginning of a secret can be felt for.
 */
export class Keyring {
  #entries = new Map<string, Entry>();
  readonly #remembered = new LRUCache<string, Entry>({ max: REMEMBERED });

  /** Takes the place of all keys known so far. A name in several places is the file's. */
  replace(keys: readonly Key[]): void {
    const entries = new Map<string, Entry>();
    for (const key of keys)
      for (const [digest, entry] of entriesOf(key)) entries.set(digest, entry);
    this.#entries = entries;
    this.#refreshRemembered();
  }

  /** @param secret what the caller sent. @param nowMs milliseconds since 1970. */
  find(secret: string, nowMs: number): Found {
    const known = this.#remembered.get(secret);
    if (known !== undefined) return foundOf(known, nowMs);
    const digest = digestOf(secret);
    const entry = this.#entries.get(digest);
    if (entry === undefined || !timingSafeEqual(entry.digest, Buffer.from(digest, 'hex'))) {
      return UNKNOWN;
    }
    const found = foundOf(entry, nowMs);
    if (found.kind === 'valid') this.#remembered.set(secret, entry);
    return found;
  }

  /** Whether it was found valid before, and its key has not been revoked or replaced since. */
  remembers(secret: string): boolean {
    return this.#remembered.has(secret);
  }

  /** A change of one key must not make the others unknown: who tries keys at their address would hold them up. */
  #refreshRemembered(): void {
    // Setting makes one the most recently used: begun with the least recent, they keep their order.
    for (const [secret, { id }] of [...this.#remembered.entries()].reverse()) {
      const entry = this.#entries.get(id);
      if (entry?.state === 'valid') this.#remembered.set(secret, entry);
      else this.#remembered.delete(secret);
    }
  }
}

function* entriesOf(key: Key): Generator<readonly [string, Entry]> {
  const { name, scopes, requestsPerSecond, inputsPerMinute, expiresAtMs, revokedAtMs, old } = key;
  const caller: Caller = { keyName: name, scopes, requestsPerSecond, inputsPerMinute };
  const untilMs = expiresAtMs ?? Number.POSITIVE_INFINITY;
  const state = revokedAtMs === undefined ? 'valid' : 'revoked';
  const entry = (digest: string, until: number): readonly [string, Entry] => [
    digest,
    { caller, id: digest, digest: Buffer.from(digest, 'hex'), state, untilMs: until },
  ];
  if (old !== undefined) yield entry(old.digest, Math.min(untilMs, old.untilMs));
  yield entry(key.digest, untilMs);
}

function foundOf({ caller, state, untilMs }: Entry, nowMs: number): Found {
  if (state === 'revoked') return { kind: 'revoked' };
  return nowMs < untilMs ? { kind: 'valid', caller } : { kind: 'expired' };
}
