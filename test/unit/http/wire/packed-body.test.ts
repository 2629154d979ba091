/** Bodies that arrive packed. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { connect } from 'node:net';
import { brotliCompressSync, constants, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import fastify from 'fastify';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { unpackBodies } from '../../../../src/http/wire/packed-body.js';
import { builtServer } from '../built-server.js';

const BODY = { inputs: 'x'.repeat(5000) };
const PACKERS = [
  ['gzip', 'gzip', gzipSync, { finishFlush: constants.Z_SYNC_FLUSH }],
  ['br', 'br', brotliCompressSync, { finishFlush: constants.BROTLI_OPERATION_FLUSH }],
  ['deflate', 'deflate', deflateSync, { finishFlush: constants.Z_SYNC_FLUSH }],
  ['bare deflate', 'deflate', deflateRawSync, { finishFlush: constants.Z_SYNC_FLUSH }],
] as const;

async function echo(): Promise<number> {
  const app = fastify();
  unpackBodies(app);
  app.post('/', async ({ body }) => body);
  onTestFinished(() => app.close());
  return Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port);
}

/** Sends a body in these pieces, each once the one before has left. */
async function send(port: number, encoding: string, pieces: readonly Buffer[], path = '/') {
  const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
  const to = { port, host: '127.0.0.1', path, agent: false };
  const request = http.request({ ...to, method: 'POST', headers });
  const replied = once(request, 'response');
  for (const piece of pieces) {
    await new Promise<void>((resolve) => request.write(piece, () => resolve()));
  }
  request.end();
  const [reply] = (await replied) as [http.IncomingMessage];
  let text = '';
  for await (const chunk of reply.setEncoding('utf8')) text += chunk;
  return { status: reply.statusCode, text };
}

/** Errors that nobody handled: each would have ended the server. */
function uncaught(): readonly unknown[] {
  const errors: unknown[] = [];
  const note = (error: unknown) => errors.push(error);
  process.on('uncaughtExceptionMonitor', note);
  onTestFinished(() => void process.off('uncaughtExceptionMonitor', note));
  return errors;
}

/** A server with one route whose answer waits until it is let go. */
async function slowServer() {
  const app = await builtServer();
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  app.get('/slow', { config: { scope: 'open' } }, async () => {
    await released;
    return 'slow';
  });
  const port = Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port);
  return { port, release };
}

function headOf(url: string, encoding: string, bytes: number): string {
  return (
    `POST ${url} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n` +
    `Content-Encoding: ${encoding}\r\nContent-Length: ${bytes}\r\n\r\n`
  );
}

describe.each(PACKERS)('a body in %s', (_name, encoding, pack, unfinished) => {
  const packed = pack(Buffer.from(JSON.stringify(BODY)));

  test('is unpacked, in one piece or byte by byte', async () => {
    const port = await echo();
    const bytes = Array.from(packed, (byte) => Buffer.from([byte]));
    for (const pieces of [[packed], bytes]) {
      const { status, text } = await send(port, encoding, pieces);
      expect([status, JSON.parse(text)]).toEqual([200, BODY]);
    }
  });

  test.each(['/v1/classify', '/v2/models/spam/infer', '/tei/predict', '/v1/moderations'])(
    'that unpacks to more than the limit is refused at %s',
    async (url) => {
      const bomb = pack(Buffer.alloc(32 * 2 ** 20, 'a'));
      expect(bomb.length).toBeLessThan(40_000);
      const app = await builtServer();
      const reply = await app.inject({
        ...{ method: 'POST', url, payload: bomb },
        headers: { 'content-type': 'application/json', 'content-encoding': encoding },
      });
      expect(reply.statusCode).toBe(413);
    },
  );

  test.each([
    '/nowhere',
    '/v1/classify',
    '/v2/models/spam/infer',
    '/tei/predict',
    '/v1/moderations',
  ])(
    'that is too large and then broken ends nothing while its refusal waits behind another answer, at %s',
    async (url) => {
      const { port, release } = await slowServer();
      const errors = uncaught();
      // Little more than the limit, so that the fault comes soon; brotli gives nothing out before it knows of a fault close by.
      const bytes = encoding === 'br' ? 2 ** 22 : 2 ** 20 + 2 ** 16;
      const large = pack(Buffer.alloc(bytes, 'a'), unfinished);
      const body = Buffer.concat([large, Buffer.alloc(64 * 1024, 0xff)]);
      const socket = connect(port, '127.0.0.1');
      onTestFinished(() => void socket.destroy());
      let replies = '';
      socket.setEncoding('utf8').on('data', (text: string) => {
        replies += text;
      });
      socket.write('GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
      socket.write(Buffer.concat([Buffer.from(headOf(url, encoding, body.length)), body]));
      // The same body on connections of their own: once they are refused, the first one has met its end too.
      for (let n = 0; n < 5; n += 1) {
        expect((await send(port, encoding, [body], url)).status).toBe(413);
      }
      release();
      await vi.waitUntil(() => replies.includes(' 413 ') || socket.destroyed);
      expect(replies).toMatch(/^HTTP\/1.1 200 [\s\S]*slowHTTP\/1.1 413 /);
      expect(errors).toEqual([]);
    },
  );

  test('whose packed bytes alone are too many is taken in, and the next request answered', async () => {
    const app = await builtServer();
    const port = Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port);
    // Noise: it becomes no smaller.
    const body = pack(randomBytes(2 ** 20 + 2 ** 18));
    const socket = connect(port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    let replies = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      replies += text;
    });
    socket.write(Buffer.concat([Buffer.from(headOf('/v1/classify', encoding, body.length)), body]));
    socket.write('GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    await vi.waitUntil(() => / 413 [\s\S]* 200 /.test(replies), { timeout: 5000 });
  });
});

test.each([
  ['nothing', Buffer.alloc(0)],
  ['one byte', Buffer.from('x')],
  ['text', Buffer.from('{"inputs": "a"}')],
])('a body said to be in deflate that is %s is refused', async (_what, body) => {
  expect((await send(await echo(), 'deflate', body.length === 0 ? [] : [body])).status).toBe(400);
});
