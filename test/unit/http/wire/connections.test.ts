import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type ConnectionOptions, limitConnections } from '../../../../src/http/wire/connections.js';
import { builtServer } from '../built-server.js';

const MAX = 3;
const servers: Server[] = [];
const sockets: Socket[] = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

async function startServer(
  listener: RequestListener,
  options?: ConnectionOptions,
): Promise<readonly [Server, (socket: Socket) => boolean]> {
  const server = createServer(listener);
  servers.push(server);
  const isSpare = limitConnections(server, MAX, options);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return [server, isSpare];
}

/** A connection that the server has taken in. */
async function connectTo(server: Server): Promise<Socket> {
  const { port } = server.address() as AddressInfo;
  const taken = once(server, 'connection');
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => undefined);
  await Promise.all([taken, once(socket, 'connect')]);
  return socket;
}

const REQUEST = 'GET / HTTP/1.1\r\nHost: here\r\n\r\n';

test('a new connection takes the place of the one that has been idle longest', async () => {
  const [server] = await startServer((_request, response) => response.end('answer'));
  const [first, second, third] = [
    await connectTo(server),
    await connectTo(server),
    await connectTo(server),
  ];
  // The first one is used, so the second has been idle longest, with half a head that never ends.
  second.write('GET / HTTP/1.1\r\nHos');
  first.write(REQUEST);
  await once(first, 'data');
  const fourth = await connectTo(server);
  await once(second, 'close');
  fourth.write(REQUEST);
  expect(String(await once(fourth, 'data'))).toContain('answer');
  expect([first.destroyed, third.destroyed]).toEqual([false, false]);
});

test('a request that runs is never cut off: others are spare, for one request, and the newest stay', async () => {
  const waiting: (() => void)[] = [];
  const [server, spare] = await startServer((request, response) => {
    if (request.url === '/') waiting.push(() => response.end('answer'));
    else response.end(`spare: ${spare(request.socket)}`);
  });
  const busy = [await connectTo(server), await connectTo(server), await connectTo(server)];
  for (const socket of busy) {
    const arrived = once(server, 'request');
    socket.write(REQUEST);
    await arrived;
  }
  expect(waiting).toHaveLength(MAX);
  const first = await connectTo(server);
  for (let n = 0; n < 63; n += 1) await connectTo(server);
  first.write('GET /health HTTP/1.1\r\nHost: here\r\n\r\n');
  expect(String(await once(first, 'data'))).toMatch(/Connection: close[\s\S]*spare: true/);
  await once(first, 'close');
  const second = await connectTo(server);
  for (let n = 0; n < 64; n += 1) await connectTo(server);
  await once(second, 'close');
  const answers = busy.map((socket) => once(socket, 'data'));
  for (const answer of waiting) answer();
  for (const answer of await Promise.all(answers)) expect(String(answer)).toContain('answer');
});

test('the server answers health checks while every connection is being answered', async () => {
  const app = await builtServer({ maxConnections: 2 });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const head =
    'POST /v1/classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n';
  for (let n = 0; n < 2; n += 1) {
    const arrived = once(app.server, 'request');
    // Its body never comes.
    (await connectTo(app.server)).write(`${head}Content-Length: 10\r\n\r\n`);
    await arrived;
  }
  const ask = async (url: string) => {
    const socket = await connectTo(app.server);
    socket.write(`GET ${url} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
    return String(await once(socket, 'data'));
  };
  for (let n = 0; n < 100; n += 1) await connectTo(app.server);
  const health = ['/health/live', '/health/ready', '/v2/health/ready', '/tei/health', '/metrics'];
  for (const url of health) {
    expect(await ask(url)).toMatch(/^HTTP\/1.1 200 [\s\S]*connection: close/i);
  }
  expect(await ask('/v1/models')).toMatch(
    /^HTTP\/1.1 503 [\s\S]*retry-after: 1[\s\S]*TOO_MANY_CONNECTIONS/i,
  );
});

test('connections that have closed make room', async () => {
  const [server] = await startServer((_request, response) => response.end('answer'));
  const kept = await connectTo(server);
  for (let n = 0; n < 10; n += 1) {
    const passing = await connectTo(server);
    passing.destroy();
    await once(passing, 'close');
  }
  kept.write(REQUEST);
  expect(String(await once(kept, 'data'))).toContain('answer');
});

describe('an answer that is larger than the buffers of the system', () => {
  const BYTES = 32 * 2 ** 20;
  const LIMIT_MS = 1000;
  const large: RequestListener = (_request, response) => response.end(Buffer.alloc(BYTES, 'x'));

  test('ends its connection where nobody reads it, and is counted', async () => {
    let stalled = 0;
    const onStalled = () => {
      stalled += 1;
    };
    const [server] = await startServer(large, { stalledAnswerMs: LIMIT_MS, onStalled });
    const closed = once(server, 'connection').then(([taken]) => once(taken as Socket, 'close'));
    const client = await connectTo(server);
    client.pause();
    client.write(REQUEST);
    await closed;
    expect(stalled).toBe(1);
  });

  test('reaches a client that reads slowly', async () => {
    let stalled = 0;
    const onStalled = () => {
      stalled += 1;
    };
    const [server] = await startServer(large, { stalledAnswerMs: LIMIT_MS, onStalled });
    const client = await connectTo(server);
    let bytes = 0;
    const begunMs = performance.now();
    // Half a megabyte at a time, which takes four times as long as a client may stand still.
    client.on('data', (chunk) => {
      const before = Math.floor(bytes / 2 ** 19);
      bytes += chunk.length;
      if (Math.floor(bytes / 2 ** 19) === before) return;
      client.pause();
      setTimeout(() => client.resume(), (4 * LIMIT_MS) / 64);
    });
    client.write(REQUEST);
    await vi.waitUntil(() => bytes > BYTES || client.destroyed, { timeout: 50_000 });
    expect(bytes).toBeGreaterThan(BYTES);
    expect(performance.now() - begunMs).toBeGreaterThan(2 * LIMIT_MS);
    expect(stalled).toBe(0);
  });
});
