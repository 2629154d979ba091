import { describe, expect, test } from 'vitest';
import { allowedHeaders, parseOrigins } from '../../../../src/http/guards/cors.js';
import { builtServer } from '../built-server.js';

const ORIGIN = 'https://app.example.org';
const origins = parseOrigins(ORIGIN);

const preflight = (requested: string) => ({
  method: 'OPTIONS' as const,
  url: '/v1/classify',
  headers: {
    origin: ORIGIN,
    'access-control-request-method': 'POST',
    'access-control-request-headers': requested,
  },
});

describe('a preflight of a named origin', () => {
  test.each([
    'authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-retry-count',
    'inference-header-content-length',
    'x-hf-bill-to, content-type',
    'traceparent',
  ])('allows what the browser asks for: %s', async (requested) => {
    const app = await builtServer({ origins });
    const reply = await app.inject(preflight(requested));
    expect(reply.statusCode).toBe(204);
    expect(reply.headers['access-control-allow-headers']).toBe(requested);
    expect(reply.headers['access-control-allow-origin']).toBe(ORIGIN);
    expect(reply.headers.vary).toContain('Access-Control-Request-Headers');
  });

  test.each([
    ['what is no list of names', 'a: b'],
    ['a list with a hole', 'a,,b'],
    ['quotes', 'a, "b"'],
    ['a list without an end', 'a,'.repeat(2000)],
    ['more than clients send', `${'a'.repeat(1025)}`],
  ])('does not repeat %s', (_what, requested) => {
    const allowed = allowedHeaders({ 'access-control-request-headers': requested });
    expect(allowed).toContain('authorization');
    expect(allowed.length).toBeLessThan(200);
  });
});

test('a page may read the headers of the open doors, and of no closed one', async () => {
  const exposedBy = async (doors?: ReadonlySet<string>) => {
    const app = await builtServer({ origins, ...(doors && { doors }) });
    const reply = await app.inject({ url: '/health/live', headers: { origin: ORIGIN } });
    return String(reply.headers['access-control-expose-headers']).split(', ');
  };
  expect(await exposedBy()).toEqual(
    expect.arrayContaining(['retry-after', 'inference-header-content-length', 'x-inference-time']),
  );
  expect(await exposedBy(new Set(['plimsoll']))).not.toContain('x-inference-time');
});

test('another origin is told nothing', async () => {
  const app = await builtServer({ origins });
  const { headers } = preflight('x-a');
  const reply = await app.inject({
    ...preflight('x-a'),
    headers: { ...headers, origin: 'https://evil.example' },
  });
  expect(reply.headers['access-control-allow-headers']).toBeUndefined();
  expect(reply.headers['access-control-allow-origin']).toBeUndefined();
});
