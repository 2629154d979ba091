import { KEY_SCOPES, type KeyScope } from '../contract/service.js';
import { PlimsollError } from '../errors.js';
import { digestOf, KEY_NAME, KEY_NAME_BOUNDS, type Key } from './key.js';
import { parseSpan } from './span.js';

/** A secret that a program made: shorter ones could be guessed, as they are kept as a fast hash. */
const LEAST_CHARACTERS = 32;
const LEAST_DISTINCT = 10;
const HASHED = /^sha256:([0-9a-f]{64})$/i;

/**
 * The keys in a file: one a line, `name scopes secret [requests-per-second=n] [inputs-per-minute=n]
 * [expires=2027-01-31]`. The secret may stand as `sha256:` and its digest in hex. Empty lines and those
 * that begin with `#` are left out.
 *
 * @throws Error naming the line, never what stands in it.
 */
export function parseKeyFile(text: string): readonly Key[] {
  const keys: Key[] = [];
  const names = new Set<string>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const fields = line.trim().split(/\s+/);
    if (line.trim() === '' || line.trim().startsWith('#')) continue;
    try {
      const key = parseLine(fields);
      if (names.has(key.name)) throw new Error('has the name of an earlier one');
      names.add(key.name);
      keys.push(key);
    } catch (error) {
      throw new Error(`line ${index + 1} ${error instanceof Error ? error.message : ''}`);
    }
  }
  return keys;
}

function parseLine([name = '', scopes = '', secret = '', ...rest]: readonly string[]): Key {
  if (!KEY_NAME.test(name)) throw new Error(`begins with a name of other than ${KEY_NAME_BOUNDS}`);
  const limits = new Map<string, string>();
  for (const field of rest) {
    const [, key = '', value = ''] =
      /^(requests-per-second|inputs-per-minute|expires)=(.+)$/.exec(field) ?? [];
    if (key === '')
      throw new Error(
        'has a field that is none of requests-per-second=, inputs-per-minute=, expires=',
      );
    limits.set(key, value);
  }
  return {
    name,
    digest: digestIn(secret),
    scopes: parseScopes(scopes),
    requestsPerSecond: limitOf('requests-per-second', limits.get('requests-per-second')),
    inputsPerMinute: limitOf('inputs-per-minute', limits.get('inputs-per-minute')),
    createdAtMs: undefined,
    expiresAtMs: expiryOf(limits.get('expires')),
    revokedAtMs: undefined,
    old: undefined,
    from: 'file',
  };
}

function digestIn(secret: string): string {
  const digest = HASHED.exec(secret)?.[1];
  if (digest !== undefined) return digest.toLowerCase();
  if (secret.length < LEAST_CHARACTERS || new Set(secret).size < LEAST_DISTINCT) {
    throw new Error(
      `has a secret that could be guessed: take one of at least ${LEAST_CHARACTERS} random characters ("openssl rand -base64 32")`,
    );
  }
  return digestOf(secret);
}

/** Scopes divided by commas, each once. @throws PlimsollError INVALID_REQUEST */
export function parseScopes(written: string): readonly KeyScope[] {
  const scopes = written.split(',').map((word) => {
    const scope = KEY_SCOPES.find((known) => known === word.trim());
    if (scope !== undefined) return scope;
    throw new PlimsollError(
      'INVALID_REQUEST',
      `has a scope that is none of ${KEY_SCOPES.join(', ')}`,
    );
  });
  return KEY_SCOPES.filter((scope) => scopes.includes(scope));
}

/** @throws PlimsollError INVALID_REQUEST */
export function limitOf(name: string, written: string | undefined): number | undefined {
  if (written === undefined) return undefined;
  if (/^[1-9]\d{0,8}$/.test(written)) return Number(written);
  throw new PlimsollError('INVALID_REQUEST', `has ${name} of other than a whole number from 1`);
}

/** A date, or a span from now. */
function expiryOf(written: string | undefined): number | undefined {
  if (written === undefined) return undefined;
  const at = /^\d{4}-\d\d-\d\d/.test(written) ? Date.parse(written) : Number.NaN;
  if (Number.isFinite(at)) return at;
  throw new Error(
    parseSpan(written) === undefined
      ? 'has expires= of other than a date such as 2027-01-31'
      : 'has expires= with a span: a file says no time that it would begin at, so write a date',
  );
}
