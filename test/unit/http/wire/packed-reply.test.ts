import { once } from 'node:events';
import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import fastify, { type FastifyInstance } from 'fastify';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { acceptedOf, packReplies } from '../../../../src/http/wire/packed-reply.js';
import { builtServer } from '../built-server.js';

const LONG = { results: Array.from({ length: 2000 }, (_, score) => ({ label: 'ham', score })) };
const TEXT = JSON.stringify(LONG);

let app: FastifyInstance;

beforeEach(() => {
  app = fastify();
  onTestFinished(() => app.close());
  packReplies(app);
  app.get('/mine', { config: { scope: 'classify' } }, async () => LONG);
  app.get('/short', { config: { scope: 'classify' } }, async () => ({ label: 'ham' }));
  app.get('/others', { config: { scope: 'read' } }, async () => LONG);
  app.get('/numbers', { config: { scope: 'read', packed: true } }, async () => LONG);
  app.get('/keys', { config: { scope: 'manage' } }, async () => LONG);
  app.get('/events', { config: { scope: 'open' } }, (_request, reply) => {
    return reply.type('text/event-stream').send(Readable.from(['data: 1\n\n', 'data: 2\n\n']));
  });
  app.get('/font', { config: { scope: 'open' } }, (_request, reply) => {
    return reply.type('font/woff2').send(Buffer.alloc(100_000));
  });
  app.get('/stream', { config: { scope: 'classify' } }, (_request, reply) => {
    return reply.type('application/json').send(Readable.from([TEXT.slice(0, 50), TEXT.slice(50)]));
  });
  app.get('/broken', { config: { scope: 'classify' } }, (_request, reply) => {
    const broken = async function* () {
      yield TEXT;
      throw new Error('the source broke');
    };
    return reply.type('application/json').send(Readable.from(broken()));
  });
});

const get = (url: string, accepted?: string, of = app) =>
  of.inject({ url, headers: accepted === undefined ? {} : { 'accept-encoding': accepted } });

describe('replies', () => {
  test.each([
    ['br', 'gzip, deflate, br', brotliDecompressSync],
    ['gzip', 'gzip, deflate', gunzipSync],
  ] as const)('that are long are packed with %s', async (encoding, accepted, unpack) => {
    for (const url of ['/mine', '/stream', '/numbers']) {
      const { headers, rawPayload } = await get(url, accepted);
      expect(headers).toMatchObject({ 'content-encoding': encoding, vary: 'Accept-Encoding' });
      expect(unpack(rawPayload).toString()).toBe(TEXT);
      expect(rawPayload.length).toBeLessThan(TEXT.length / 3);
    }
  });

  test('vary with what is accepted also where they are not packed', async () => {
    const { headers, payload } = await get('/mine');
    expect(headers).toMatchObject({ vary: 'Accept-Encoding' });
    expect(headers).not.toHaveProperty('content-encoding');
    expect(payload).toBe(TEXT);
  });

  test.each(['/short', '/events', '/font', '/others', '/keys'])(
    'of %s stay as they are: short, events, packed already, or with the data of others',
    async (url) => {
      const { headers } = await get(url, 'br, gzip');
      expect(headers).not.toHaveProperty('content-encoding');
      expect(headers).not.toHaveProperty('vary');
    },
  );

  test('without a body stay as they are', async () => {
    const { headers } = await app.inject({
      ...{ method: 'HEAD', url: '/mine', headers: { 'accept-encoding': 'br' } },
    });
    expect(headers).not.toHaveProperty('content-encoding');
  });

  test('that many ask for at once are right, packed or not', async () => {
    const replies = await Promise.all(Array.from({ length: 40 }, () => get('/mine', 'gzip')));
    const texts = replies.map(({ headers, rawPayload }) =>
      String(headers['content-encoding'] === 'gzip' ? gunzipSync(rawPayload) : rawPayload),
    );
    expect(new Set(texts)).toEqual(new Set([TEXT]));
    expect(replies.some(({ headers }) => headers['content-encoding'] === undefined)).toBe(true);
    const { headers } = await get('/mine', 'gzip');
    expect(headers['content-encoding']).toBe('gzip');
  });

  test('whose source breaks, or whose caller leaves, end, and the next ones are packed', async () => {
    await app.listen({ port: 0, host: '127.0.0.1' });
    const port = (app.server.address() as AddressInfo).port;
    const headers = { 'accept-encoding': 'br' };
    for (let call = 0; call < 8; call += 1) {
      const path = call % 2 === 0 ? '/broken' : '/stream';
      const outgoing = request({ host: '127.0.0.1', port, path, headers }).end();
      const [incoming] = await once(outgoing, 'response');
      if (path === '/stream') incoming.destroy();
      else incoming.resume();
      await once(incoming, 'close');
    }
    expect((await get('/mine', 'br')).headers['content-encoding']).toBe('br');
  });

  test('of the server itself are packed: its description', async () => {
    const server = await builtServer();
    const { headers, rawPayload } = await get('/openapi.json', 'br', server);
    expect(headers['content-encoding']).toBe('br');
    expect(JSON.parse(String(brotliDecompressSync(rawPayload)))).toHaveProperty('paths');
    const short = await get('/health/live', 'br', server);
    expect(short.headers).not.toHaveProperty('content-encoding');
  });
});

test.each([
  [undefined, undefined],
  ['', undefined],
  ['identity', undefined],
  ['deflate', undefined],
  ['gzip', 'gzip'],
  ['X-GZIP', 'gzip'],
  ['BR', 'br'],
  ['gzip, br', 'br'],
  ['gzip;q=1.0, br;q=0.5', 'gzip'],
  ['br;q=0, *', 'gzip'],
  ['*', 'br'],
  ['gzip;q=0, br;q=0', undefined],
  ['gzip;q=x', undefined],
])('of %j is chosen: %s', (header, encoding) => {
  expect(acceptedOf(header)).toBe(encoding);
});
