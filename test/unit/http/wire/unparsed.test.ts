/** Requests that never arrive whole, from clients that do not close: their connections end all the same. */
import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import type { FastifyInstance } from 'fastify';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { builtServer } from '../built-server.js';

const fixture = (name: string) =>
  fileURLToPath(new URL(`../../../fixtures/tls/one.${name}`, import.meta.url));
const MAX = 2;
const HEAD = 'POST /v1/classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n';
const BODY_PHASE = `${HEAD}Content-Length: 100\r\n\r\n{`;

const CASES = [
  ['the head of a request', `${HEAD}X-`, 408],
  ['the body of a request', BODY_PHASE, 408],
  ['what is not HTTP', 'nonsense\r\n\r\n', 400],
  ['too large a head', `${HEAD}X-Long: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
  ['a body that is refused before it is here', `${HEAD}Content-Length: 2000000\r\n\r\n{`, 408],
] as const;

/** A server over each transport whose time for a request is short. */
async function hastyServer(isTls: boolean): Promise<FastifyInstance> {
  const files = { cert: fixture('crt'), key: fixture('key') };
  const app = await builtServer({ maxConnections: MAX, ...(isTls ? { tls: files } : {}) });
  app.server.headersTimeout = 100;
  app.server.requestTimeout = 200;
  await app.listen({ port: 0, host: '127.0.0.1' });
  return app;
}

/** A connection with both of its ends; the client never closes its own. */
async function connectTo(app: FastifyInstance, isTls: boolean) {
  const { port } = app.server.address() as AddressInfo;
  const taken = once(app.server, isTls ? 'secureConnection' : 'connection');
  const raw = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const client = isTls ? tls.connect({ socket: raw, rejectUnauthorized: false }) : raw;
  const seen = { text: '' };
  client.on('error', () => undefined).setEncoding('utf8');
  client.on('data', (text: string) => {
    seen.text += text;
  });
  onTestFinished(() => void raw.destroy());
  const [accepted] = (await taken) as [Socket];
  return { client, accepted, seen };
}

const isGone = ({ accepted }: { readonly accepted: Socket }) => accepted.destroyed;

describe.each([
  ['TCP', false],
  ['TLS', true],
])('over %s', (_name, isTls) => {
  test.each(isTls ? CASES.slice(0, 2) : CASES)(
    '%s is answered, and its connection ends though its client keeps it',
    async (_what, sent, status) => {
      const app = await hastyServer(isTls);
      const held: Awaited<ReturnType<typeof connectTo>>[] = [];
      for (let n = 0; n < MAX; n += 1) {
        const connection = await connectTo(app, isTls);
        connection.client.write(sent);
        held.push(connection);
      }
      await vi.waitUntil(() => held.every(isGone), { timeout: 5000 });
      for (const { seen } of held) expect(seen.text).toContain(` ${status} `);
      // Every place is free again: the next one is no spare connection, which is told to close.
      const next = await connectTo(app, isTls);
      next.client.write('GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
      await vi.waitUntil(() => next.seen.text.includes(' 200 '));
      expect(next.seen.text).toMatch(/connection: keep-alive/i);
      next.client.destroy();
      await app.close();
    },
  );

  test('a body that was refused and came whole ends its connection too, where the refusal asks for it', async () => {
    const app = await hastyServer(isTls);
    const held = await connectTo(app, isTls);
    held.client.write(
      `${HEAD}Connection: close\r\nContent-Encoding: zip\r\nContent-Length: 100\r\n\r\n{`,
    );
    await vi.waitUntil(() => held.seen.text.includes(' 415 '));
    held.client.write('x'.repeat(99));
    await vi.waitUntil(() => isGone(held), { timeout: 5000 });
  });
});

describe('what cannot be read behind a request that is still being answered', () => {
  /** Answers `/slow` in two pieces, the second when it is told to. */
  async function slowServer() {
    const app = await builtServer();
    let finish: () => void = () => undefined;
    const began = new Promise<void>((resolve) => {
      app.server.prependListener('request', ({ url }, response) => {
        if (url !== '/slow') return;
        response.writeHead(200, { 'content-type': 'text/plain' });
        response.write('first ');
        finish = () => response.end('last');
        resolve();
      });
    });
    app.get('/slow', { config: { scope: 'open' } }, (_request, reply) => void reply.hijack());
    await app.listen({ port: 0, host: '127.0.0.1' });
    return { app, began, finish: () => finish() };
  }

  test('is refused behind its answer, which stays whole', async () => {
    const { app, began, finish } = await slowServer();
    const held = await connectTo(app, false);
    held.client.write('GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    await began;
    held.client.write('nonsense\r\n\r\n');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(held.seen.text).not.toContain(' 400 ');
    finish();
    await vi.waitUntil(() => isGone(held), { timeout: 5000 });
    expect(held.seen.text).toMatch(/first [\s\S]*last[\s\S]*HTTP\/1\.1 400 /);
  });
});
