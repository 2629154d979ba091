import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { EventStream } from '../../../src/http/doors/plimsoll/event-stream.js';

/** A real stream on the loopback interface, and the socket of the page that reads it, or does not. */
async function open(options: { readonly reads: boolean }) {
  const server = http.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const client = net.connect({ host: '127.0.0.1', port });
  let bytes = 0;
  if (options.reads) client.on('data', (chunk) => (bytes += chunk.length));
  client.on('error', () => undefined);
  client.write('GET / HTTP/1.1\r\nHost: page\r\n\r\n');
  const [, raw] = (await once(server, 'request')) as [http.IncomingMessage, http.ServerResponse];
  raw.writeHead(200, { connection: 'close' });
  onTestFinished(() => {
    client.destroy();
    server.close();
  });
  return { stream: new EventStream(raw), raw, client, read: () => bytes };
}

const state = Buffer.alloc(64 * 1024, 'x');

test('a page that reads gets everything', async () => {
  const { stream, raw, read } = await open({ reads: true });
  for (let sent = 1; sent <= 100; sent += 1) {
    stream.send('state', state);
    await vi.waitUntil(() => read() >= sent * state.length, { interval: 1 });
  }
  expect(raw.destroyed).toBe(false);
});

test('a page that does not read misses states and is then dropped; little waits for it', async () => {
  const { stream, raw } = await open({ reads: false });
  let most = 0;
  for (let sent = 0; sent < 2000 && !raw.destroyed; sent += 1) {
    stream.send('state', state);
    most = Math.max(most, raw.writableLength);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(raw.destroyed).toBe(true);
  // No more than one state waited beside what the kernel took.
  expect(most).toBeLessThan(2 * state.length + 1024);
});

test('a flood of marks to a page that does not read ends it as well', async () => {
  const { stream, raw } = await open({ reads: false });
  const mark = Buffer.alloc(4096, 'x');
  let most = 0;
  for (let sent = 0; sent < 20_000 && !raw.destroyed; sent += 1) {
    stream.send('mark', mark);
    most = Math.max(most, raw.writableLength);
  }
  expect(raw.destroyed).toBe(true);
  expect(most).toBeLessThan(300 * 1024);
});

test('it is known for how long a page has not read', async () => {
  const reading = await open({ reads: true });
  reading.stream.send('state', state);
  await vi.waitUntil(() => reading.read() >= state.length, { interval: 1 });
  expect(reading.stream.stalledMs).toBe(0);
  const { stream, raw } = await open({ reads: false });
  for (let sent = 0; sent < 2000 && raw.writableLength === 0; sent += 1) {
    stream.send('mark', state);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const before = stream.stalledMs;
  stream.send('state', state);
  await vi.waitUntil(() => stream.stalledMs > before, { interval: 1 });
  expect(before).toBeGreaterThanOrEqual(0);
});

test('a stream ends soon, read or not', async () => {
  for (const reads of [true, false]) {
    const { stream, raw } = await open({ reads });
    for (let sent = 0; sent < 4; sent += 1) stream.send('mark', state);
    const closed = once(raw, 'close');
    stream.end();
    await closed;
    stream.send('state', state);
  }
});
