import type { IncomingHttpHeaders } from 'node:http';

const BEARER = /^bearer +(\S+) *$/i;

/** The key in a request: `Authorization: Bearer`, else `X-API-Key`, else `api-key`; undefined without one. */
export function credentialOf(headers: IncomingHttpHeaders): string | undefined {
  const { authorization } = headers;
  if (authorization !== undefined) {
    // The usual spelling is cut out without a search.
    if (authorization.startsWith('Bearer ')) {
      const secret = authorization.slice(7);
      return secret.includes(' ') ? secret.trim() || undefined : secret || undefined;
    }
    const secret = BEARER.exec(authorization)?.[1];
    if (secret !== undefined) return secret;
  }
  return textOf(headers['x-api-key']) ?? textOf(headers['api-key']);
}

function textOf(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value.trim() : undefined;
}
