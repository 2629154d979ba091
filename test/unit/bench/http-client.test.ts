import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { HttpClient } from '../../../bench/harness/http-client.js';

const undos: (() => void)[] = [];

afterEach(() => {
  for (const undo of undos.splice(0)) undo();
});

/** A real server of Node's, and a client of it with that many connections. */
async function serve(handle: http.RequestListener, sockets = 2) {
  let connections = 0;
  const server = http.createServer(handle);
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const client = new HttpClient(`http://127.0.0.1:${port}`, sockets);
  undos.push(() => {
    client.close();
    server.close();
    server.closeAllConnections();
  });
  return { client, server, connections: () => connections };
}

/** Answers with what it got, in two parts. */
const echo: http.RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const got = Buffer.concat(chunks).toString('utf8');
    const { method, url, headers } = request;
    const body = Buffer.from(JSON.stringify({ method, url, type: headers['content-type'], got }));
    response.writeHead(200, { 'content-length': body.length });
    response.write(body.subarray(0, 20));
    setImmediate(() => response.end(body.subarray(20)));
  });
};

test('bodies arrive whole, in letters of several bytes too', async () => {
  const { client } = await serve(echo);
  const text = 'café 😀 '.repeat(5000);
  const reply = await client.send('POST', '/v1/classify', { inputs: text });
  const got = JSON.stringify({ inputs: text });
  const expected = { method: 'POST', url: '/v1/classify', type: 'application/json', got };
  expect(reply).toMatchObject({ status: 200, body: expected });
  expect(await client.send('GET', '/x')).toMatchObject({ status: 200, body: { got: '' } });
});

test('connections are kept, and no more are opened than allowed', async () => {
  const { client, connections } = await serve(echo);
  const replies = await Promise.all(
    Array.from({ length: 20 }, (_, n) => client.send('POST', `/${n}`, { n })),
  );
  expect(replies.map(({ body }) => (body as { url: string }).url)).toEqual(
    replies.map((_, n) => `/${n}`),
  );
  expect(connections()).toBe(2);
});

test('a connection that the server closes is replaced', async () => {
  const { client, connections } = await serve((_request, response) => {
    response.writeHead(503, { connection: 'close', 'retry-after': '7', 'content-length': 2 });
    response.end('{}');
  }, 1);
  for (const n of [1, 2]) {
    expect(await client.send('GET', '/')).toMatchObject({ status: 503, retryAfter: '7' });
    expect(connections()).toBe(n);
  }
});

test('what breaks is a reply with status 0, and the next one is tried anew', async () => {
  const { client } = await serve((request, response) => {
    if (request.url === '/break') response.destroy();
    else echo(request, response);
  }, 1);
  const [broken, next] = await Promise.all([
    client.send('GET', '/break'),
    client.send('GET', '/fine'),
  ]);
  expect(broken).toMatchObject({ status: 0, retryAfter: undefined });
  expect(next).toMatchObject({ status: 200, body: { url: '/fine' } });
});

test('a server that is not there is told of', async () => {
  const { client, server } = await serve(echo);
  await new Promise((resolve) => server.close(resolve));
  expect(await client.send('GET', '/')).toMatchObject({
    status: 0,
    body: expect.stringContaining('ECONNREFUSED'),
  });
});
