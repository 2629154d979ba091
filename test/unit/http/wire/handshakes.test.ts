/** Connections over TLS that never say a word. */
import { once } from 'node:events';
import type { IncomingMessage, RequestListener } from 'node:http';
import https from 'node:https';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { limitConnections } from '../../../../src/http/wire/connections.js';
import { HANDSHAKE_TIMEOUT_MS } from '../../../../src/http/wire/handshakes.js';
import { tlsServer } from '../../../../src/http/wire/tls.js';

const FOLDER = fileURLToPath(new URL('../../../fixtures/tls/', import.meta.url));
const FILES = { cert: path.join(FOLDER, 'one.crt'), key: path.join(FOLDER, 'one.key') };
const MAX = 4;

async function started(): Promise<Server> {
  const log = { info: () => undefined, warn: () => undefined };
  const server = tlsServer(FILES, {}, (_request, response) => response.end('answer'), log);
  limitConnections(server, MAX);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return server;
}

/** A connection that the server has taken in and that never begins its handshake. */
async function silentTo(server: Server): Promise<Socket> {
  const taken = once(server, 'connection');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('error', () => undefined);
  onTestFinished(() => void socket.destroy());
  await Promise.all([taken, once(socket, 'connect')]);
  return socket;
}

/** Asks on a connection of its own. */
function ask(server: Server, agent?: https.Agent): Promise<number | undefined> {
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve, reject) => {
    const options = { port, host: '127.0.0.1', rejectUnauthorized: false, agent: agent ?? false };
    https
      .get(options, (reply) => {
        reply.resume().once('end', () => resolve(reply.statusCode));
      })
      .once('error', reject);
  });
}

test('keep nobody out: the oldest gives way to a new connection', async () => {
  const server = await started();
  const first = await silentTo(server);
  const closed = once(first, 'close');
  // More than Node would take in at all.
  for (let n = 0; n < MAX + 128; n += 1) await silentTo(server);
  await closed;
  expect(await ask(server)).toBe(200);
});

test('take no place from a connection that waits for its next request', async () => {
  const server = await started();
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  let secured = 0;
  server.on('secureConnection', () => (secured += 1));
  expect(await ask(server, agent)).toBe(200);
  for (let n = 0; n < 100; n += 1) await silentTo(server);
  expect(await ask(server, agent)).toBe(200);
  expect(secured).toBe(1);
});

test('are closed when the time for the handshake is over, and so is what speaks no TLS', async () => {
  const server = await started();
  expect(HANDSHAKE_TIMEOUT_MS).toBeLessThanOrEqual(10_000);
  const plain = await silentTo(server);
  const silent = await silentTo(server);
  const begunMs = performance.now();
  plain.write('GET / HTTP/1.1\r\nHost: here\r\n\r\n');
  await Promise.all([once(plain, 'close'), once(silent, 'close')]);
  expect(performance.now() - begunMs).toBeLessThan(2 * HANDSHAKE_TIMEOUT_MS);
}, 40_000);

test('over TLS too an answer that is read slowly arrives, and one that nobody reads is given up', async () => {
  const bytes = 16 * 2 ** 20;
  const log = { info: () => undefined, warn: () => undefined };
  const listener: RequestListener = (_request, response) => response.end(Buffer.alloc(bytes, 'x'));
  const server = tlsServer(FILES, {}, listener, log);
  let stalled = 0;
  const onStalled = () => {
    stalled += 1;
  };
  limitConnections(server, MAX, { stalledAnswerMs: 1000, onStalled });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const options = { port, host: '127.0.0.1', rejectUnauthorized: false, agent: false as const };
  const get = async () => {
    const [reply] = (await once(https.get(options), 'response')) as [IncomingMessage];
    return reply.on('error', () => undefined);
  };
  const slow = await get();
  let read = 0;
  slow.on('data', (chunk: Buffer) => {
    const before = Math.floor(read / 2 ** 19);
    read += chunk.length;
    if (Math.floor(read / 2 ** 19) === before) return;
    slow.pause();
    setTimeout(() => slow.resume(), 100);
  });
  await once(slow, 'end');
  expect([read, stalled]).toEqual([bytes, 0]);
  const closed = once(server, 'secureConnection').then(([taken]) => once(taken, 'close'));
  (await get()).pause();
  await closed;
  expect(stalled).toBe(1);
}, 40_000);
