import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { limitConnections } from '../../../../src/http/wire/connections.js';

const MAX = 3;
const servers: Server[] = [];
const sockets: Socket[] = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

async function startServer(listener: RequestListener): Promise<Server> {
  const server = createServer(listener);
  servers.push(server);
  limitConnections(server, MAX);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
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
  const server = await startServer((_request, response) => response.end('answer'));
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

test('a request that runs is never cut off: the new connection is closed', async () => {
  let finish: () => void = () => undefined;
  const waiting: (() => void)[] = [];
  const server = await startServer((_request, response) => {
    waiting.push(() => response.end('answer'));
    if (waiting.length === MAX) finish();
  });
  const all = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const busy = [await connectTo(server), await connectTo(server), await connectTo(server)];
  for (const socket of busy) socket.write(REQUEST);
  await all;
  const late = await connectTo(server);
  await once(late, 'close');
  const answers = busy.map((socket) => once(socket, 'data'));
  for (const answer of waiting) answer();
  for (const answer of await Promise.all(answers)) expect(String(answer)).toContain('answer');
});

test('connections that have closed make room', async () => {
  const server = await startServer((_request, response) => response.end('answer'));
  const kept = await connectTo(server);
  for (let n = 0; n < 10; n += 1) {
    const passing = await connectTo(server);
    passing.destroy();
    await once(passing, 'close');
  }
  kept.write(REQUEST);
  expect(String(await once(kept, 'data'))).toContain('answer');
});
