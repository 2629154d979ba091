import type { KeyScope } from '../contract/service.js';
import { PlimsollError } from '../errors.js';
import type { KeyTable } from '../store/key-table.js';
import { MAX_KEYS } from '../store/key-table.js';
import { digestOf, KEY_NAME, KEY_NAME_BOUNDS, type Key, newSecret } from './key.js';
import { parseSpan } from './span.js';
import { keyOf } from './stored-keys.js';

/** What a new key is to be. */
export interface NewKey {
  readonly name: string;
  readonly scopes: readonly KeyScope[];
  readonly requestsPerSecond: number | undefined;
  readonly inputsPerMinute: number | undefined;
  /** From now; undefined: it does not expire. */
  readonly expiresInMs: number | undefined;
}

/** A secret is shown this once. */
export interface MadeKey {
  readonly name: string;
  readonly secret: string;
}

/** Makes, lists and ends the keys in the database. Methods throw Error where it does not answer. */
export class KeyRegister {
  readonly #table: KeyTable;
  readonly #now: () => number;

  constructor(table: KeyTable, now: () => number = Date.now) {
    this.#table = table;
    this.#now = now;
  }

  /** Revoked ones too, by name. */
  async list(): Promise<readonly Key[]> {
    return ((await this.#table.read())?.keys ?? []).map(keyOf);
  }

  /** @throws PlimsollError INVALID_REQUEST, KEY_EXISTS */
  async create(key: NewKey): Promise<MadeKey> {
    if (!KEY_NAME.test(key.name)) {
      throw new PlimsollError('INVALID_REQUEST', `the name of a key takes ${KEY_NAME_BOUNDS}`);
    }
    const secret = newSecret();
    const nowMs = this.#now();
    const refusal = await this.#table.add({
      name: key.name,
      digest: digestOf(secret),
      scopes: key.scopes.join(','),
      requests_per_second: key.requestsPerSecond ?? null,
      inputs_per_minute: key.inputsPerMinute ?? null,
      created_at_ms: nowMs,
      expires_at_ms: key.expiresInMs === undefined ? null : nowMs + key.expiresInMs,
      revoked_at_ms: null,
      old_digest: null,
      old_until_ms: null,
    });
    if (refusal === 'exists') {
      const remedy = 'revoke it first, or give it another secret with "plimsoll keys rotate"';
      throw new PlimsollError('KEY_EXISTS', `there is a key "${key.name}" already: ${remedy}`);
    }
    if (refusal === 'full') {
      const message = `there are ${MAX_KEYS} keys already, revoked ones too: no more are kept`;
      throw new PlimsollError('KEY_EXISTS', message);
    }
    return { name: key.name, secret };
  }

  /** @throws PlimsollError KEY_NOT_FOUND */
  async revoke(name: string): Promise<void> {
    if (!(await this.#table.revoke(name, this.#now()))) throw notFound(name);
  }

  /** Gives the key another secret. @param graceMs for so long the old one works too. @throws PlimsollError KEY_NOT_FOUND */
  async rotate(name: string, graceMs: number): Promise<MadeKey> {
    const secret = newSecret();
    const oldUntilMs = graceMs === 0 ? undefined : this.#now() + graceMs;
    if (!(await this.#table.rotate(name, digestOf(secret), oldUntilMs))) throw notFound(name);
    return { name, secret };
  }
}

/** A span such as `90d`; undefined stays so. @throws PlimsollError INVALID_REQUEST */
export function spanMs(what: string, written: string | undefined): number | undefined {
  if (written === undefined) return undefined;
  const ms = parseSpan(written);
  if (ms !== undefined) return ms;
  throw new PlimsollError('INVALID_REQUEST', `${what} takes 90d, 12h, 30m or 45s, at most 3650d`);
}

function notFound(name: string): PlimsollError {
  const shown = KEY_NAME.test(name) ? `"${name}"` : 'of that name';
  return new PlimsollError('KEY_NOT_FOUND', `the database has no key ${shown} that is not revoked`);
}
