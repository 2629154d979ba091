import type { FastifyInstance } from 'fastify';

interface KnownAddress {
  readonly pattern: RegExp;
  readonly methods: Set<string>;
}

/**
 * Which methods an address has, for the 405 of a request with another one (RFC 9110, section 15.5.6: it
 * has to name them in `Allow`). Call it before routes are added.
 *
 * @returns the methods of the routes that an address without its query leads to, sorted; none if there is
 * no such address.
 */
export function rememberMethods(app: FastifyInstance): (address: string) => readonly string[] {
  const known = new Map<string, KnownAddress>();
  app.addHook('onRoute', ({ url, method }) => {
    const address = known.get(url) ?? { pattern: patternOf(url), methods: new Set<string>() };
    known.set(url, address);
    for (const name of [method].flat()) address.methods.add(name);
  });
  return (address) => {
    const methods = new Set<string>();
    for (const { pattern, methods: own } of known.values()) {
      // The files of the page answer any address with GET: that does not make it one with methods.
      if (pattern.test(address)) for (const method of own) methods.add(method);
    }
    return [...methods].sort();
  };
}

/** `/v1/sessions/:id/end` → one part for each name; `*` for the rest. */
function patternOf(url: string): RegExp {
  const parts = url.split('/').map((part) => {
    if (part === '*') return '.+';
    return part.startsWith(':') ? '[^/]+' : part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${parts.join('/')}$`);
}
