/** Bodies that arrive packed. */
import { once } from 'node:events';
import http from 'node:http';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import fastify from 'fastify';
import { describe, expect, onTestFinished, test } from 'vitest';
import { unpackBodies } from '../../../../src/http/wire/packed-body.js';
import { builtServer } from '../built-server.js';

const BODY = { inputs: 'x'.repeat(5000) };
const PACKERS = [
  ['gzip', 'gzip', gzipSync],
  ['br', 'br', brotliCompressSync],
  ['deflate', 'deflate', deflateSync],
  ['bare deflate', 'deflate', deflateRawSync],
] as const;

async function echo(): Promise<number> {
  const app = fastify();
  unpackBodies(app);
  app.post('/', async ({ body }) => body);
  onTestFinished(() => app.close());
  return Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port);
}

/** Sends a body in these pieces, each once the one before has left. */
async function send(port: number, encoding: string, pieces: readonly Buffer[]) {
  const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
  const request = http.request({ port, host: '127.0.0.1', method: 'POST', headers, agent: false });
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

describe.each(PACKERS)('a body in %s', (_name, encoding, pack) => {
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
});

test.each([
  ['nothing', Buffer.alloc(0)],
  ['one byte', Buffer.from('x')],
  ['text', Buffer.from('{"inputs": "a"}')],
])('a body said to be in deflate that is %s is refused', async (_what, body) => {
  expect((await send(await echo(), 'deflate', body.length === 0 ? [] : [body])).status).toBe(400);
});
