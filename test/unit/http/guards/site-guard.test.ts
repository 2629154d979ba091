import { describe, expect, test } from 'vitest';
import { knownHosts, refusalOf } from '../../../../src/http/guards/site-guard.js';

const local = knownHosts('127.0.0.1', []);
const post = (headers: Record<string, string>) =>
  refusalOf({ method: 'POST', route: '/v1/memory/recycle', headers }, local)?.code;

describe('a request that changes something', () => {
  test.each([
    ['curl', { host: '127.0.0.1:8000' }],
    ['HTTP/1.0 without a host', {}],
    ['our page', { host: 'localhost:8000', 'sec-fetch-site': 'same-origin' }],
    ['our page over plain HTTP', { host: 'localhost:8000', origin: 'http://localhost:8000' }],
    [
      'our page behind a proxy that has changed Host',
      { host: '127.0.0.1:8000', origin: 'https://p.example', 'sec-fetch-site': 'same-origin' },
    ],
    ['our page behind TLS', { host: 'localhost', origin: 'https://localhost' }],
    ['our page at the scheme’s own port', { host: 'localhost:80', origin: 'http://localhost' }],
    ['IPv6', { host: '[::1]:8000', origin: 'http://[::1]:8000' }],
  ])('passes from %s', (_who, headers) => {
    expect(post(headers)).toBeUndefined();
  });

  test.each([
    ['another site', { host: 'localhost:8000', 'sec-fetch-site': 'cross-site' }],
    ['another host of the site', { host: 'localhost:8000', 'sec-fetch-site': 'same-site' }],
    ['another origin', { host: 'localhost:8000', origin: 'http://evil.example' }],
    ['another port', { host: 'localhost:8000', origin: 'http://localhost:3000' }],
    ['a sandbox', { host: 'localhost:8000', origin: 'null' }],
    ['nonsense', { host: 'localhost:8000', origin: '//' }],
    ['an origin without a host to compare', { origin: 'http://evil.example' }],
    ['an unknown word of the browser', { host: 'localhost:8000', 'sec-fetch-site': 'x' }],
  ])('is refused from %s', (_who, headers) => {
    expect(post(headers)).toBe('CROSS_SITE');
  });
});

describe('what only reads', () => {
  const headers = { host: 'localhost', 'sec-fetch-site': 'cross-site', origin: 'http://a.example' };

  test('passes from anywhere: browsers do not show it to the other site', () => {
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      expect(refusalOf({ method, route: '/v1/memory', headers }, local)).toBeUndefined();
    }
  });

  test('but not the stream of events', () => {
    const refusal = refusalOf({ method: 'GET', route: '/v1/events', headers }, local);
    expect(refusal?.code).toBe('CROSS_SITE');
  });
});

describe('the name of the server', () => {
  const codeFor = (host: string, known: ReadonlySet<string> | undefined) =>
    refusalOf({ method: 'GET', route: '/v1/memory', headers: { host } }, known)?.code;

  test.each([
    'localhost',
    'LOCALHOST:80',
    'a.localhost',
    '127.0.0.1:1',
    '127.9.9.9',
    '[::1]:8000',
    'localhost.',
  ])('%s is loopback', (host) => {
    expect(codeFor(host, local)).toBeUndefined();
  });

  test.each([
    'evil.example',
    'evil.example:8000',
    '127.0.0.1.evil.example',
    'localhost.evil',
    '[::2]',
    'a:b:c',
    '192.168.0.1',
  ])('%s is refused where the server listens on loopback', (host) => {
    expect(codeFor(host, local)).toBe('UNKNOWN_HOST');
  });

  test('may be any where the server listens for others, unless its names are given', () => {
    expect(codeFor('evil.example', knownHosts('0.0.0.0', []))).toBeUndefined();
    const named = knownHosts('0.0.0.0', ['Plimsoll.example']);
    expect(codeFor('plimsoll.example:443', named)).toBeUndefined();
    expect(codeFor('127.0.0.1:8000', named)).toBeUndefined();
    expect(codeFor('evil.example', named)).toBe('UNKNOWN_HOST');
    expect(codeFor('192.168.0.1:80', knownHosts('192.168.0.1', ['x']))).toBeUndefined();
  });
});
