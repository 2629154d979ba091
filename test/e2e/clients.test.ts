/** Clients as they come: too large, gone, slow, idle, odd. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { classify, request, type Server, startServer } from './harness.js';
import { expectError } from './shapes.js';

const MAX_CONNECTIONS = 8;
const BODY_LIMIT = 65_536;
let server: Server;
const sockets: Socket[] = [];

beforeAll(async () => {
  server = await startServer({
    settings: {
      'http.max_connections': MAX_CONNECTIONS,
      'http.body_limit': BODY_LIMIT,
      'worker.count': 1,
    },
  });
  await classify(server, 'the first text prepares the model');
});

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

async function open(): Promise<Socket> {
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** What the server sends until it closes the connection. */
async function lastWords(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk) => {
    text += String(chunk);
  });
  await once(socket, 'close');
  return text;
}

async function raw(head: string): Promise<string> {
  const socket = await open();
  socket.write(head);
  return lastWords(socket);
}

/** Asks for the end of the connection, and sends all of its body before it reads. */
const PYTHON_CLIENT = `
import sys, urllib.request, urllib.error
data = sys.stdin.buffer.read()
headers = {'Content-Type': 'application/json', **dict(pair.split('=') for pair in sys.argv[3:])}
ask = urllib.request.Request(sys.argv[1], data, headers)
for _ in range(int(sys.argv[2])):
    try:
        print(urllib.request.urlopen(ask).status)
    except urllib.error.HTTPError as error:
        print(error.code)
`;

/** Status of each of some requests by Python. @param headers as `name=value` */
async function statusesInPython(
  url: string,
  body: string,
  count: number,
  headers: readonly string[] = [],
): Promise<readonly string[]> {
  const child = spawn('python3', ['-c', PYTHON_CLIENT, url, String(count), ...headers]);
  child.stdin.end(body);
  let printed = '';
  child.stdout.on('data', (chunk) => {
    printed += String(chunk);
  });
  await once(child, 'close');
  return printed.trim().split('\n');
}

describe('a large body whose request is refused: the refusal is seen', () => {
  const body = JSON.stringify({ inputs: 'x'.repeat(40 * BODY_LIMIT) });

  test('by fetch', async () => {
    const reply = await fetch(`${server.url}/v1/classify`, {
      ...{ method: 'POST', body, headers: { 'content-type': 'application/json' } },
    });
    expect(reply.status).toBe(413);
    expect(await reply.json()).toMatchObject({ error: { code: 'BODY_TOO_LARGE' } });
  });

  test.each([
    { status: '413', address: '/v1/classify', headers: [] },
    { status: '413', address: '/nowhere', headers: [] },
    { status: '403', address: '/v1/classify', headers: ['Origin=http://elsewhere.example'] },
    { status: '421', address: '/v1/classify', headers: ['Host=elsewhere.example'] },
  ])('by Python: $status at $address with $headers', async ({ status, address, headers }) => {
    const seen = await statusesInPython(server.url + address, body, 40, headers);
    expect(seen).toEqual(new Array(40).fill(status));
  });

  test('by chunks of unknown length', async () => {
    const socket = await open();
    socket.write(
      'POST /v1/classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n',
    );
    const piece = 'x'.repeat(BODY_LIMIT);
    for (let n = 0; n < 10; n += 1) socket.write(`${piece.length.toString(16)}\r\n${piece}\r\n`);
    socket.write('0\r\n\r\n');
    expect(await lastWords(socket)).toContain('BODY_TOO_LARGE');
  });
});

test('clients that leave in the middle of a body, or before the answer: no line, no fault', async () => {
  const before = server.logs.length;
  const body = JSON.stringify({ inputs: 'a text whose reader has gone' });
  const head = `POST /v1/classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
  for (let n = 0; n < 100; n += 1) {
    const socket = await open();
    socket.write(head + (n % 2 === 0 ? body.slice(0, 10) : body));
    socket.destroy();
  }
  expect((await classify(server, 'an honest text')).results).toHaveLength(1);
  const lines = server.logs.slice(before).filter(({ level }) => level >= 40);
  expect(lines).toEqual([]);
  const metrics = await request<string>(server, 'GET', '/metrics');
  expect(metrics.text).not.toMatch(/plimsoll_requests_total\{[^}]*status="500"/);
});

test('idle connections give way: who comes is served', async () => {
  const idle: Socket[] = [];
  for (let n = 0; n < 3 * MAX_CONNECTIONS; n += 1) idle.push(await open());
  expect((await classify(server, 'served beside idle ones')).results).toHaveLength(1);
  // This side learns of a close when its own loop turns.
  await expect
    .poll(() => idle.filter(({ destroyed }) => !destroyed).length)
    .toBeLessThan(MAX_CONNECTIONS);
});

test('a head that comes byte by byte has 10 s', async () => {
  const socket = await open();
  const drip = setInterval(() => socket.write('x'), 500);
  socket.write('GET / HTTP/1.1\r\nX-Slow: ');
  try {
    const begun = performance.now();
    expect(await lastWords(socket)).toContain('REQUEST_TIMEOUT');
    expect(performance.now() - begun).toBeLessThan(30_000);
  } finally {
    clearInterval(drip);
  }
}, 60_000);

describe('as the specifications say', () => {
  test('405 with Allow where the address has other methods', async () => {
    const reply = await request(server, 'DELETE', '/v1/classify');
    expectError(reply, 'METHOD_NOT_ALLOWED', /POST/);
    expect(reply.headers.allow).toBe('POST');
    const session = await request(server, 'PUT', '/v1/sessions/s_1?x=1');
    expectError(session, 'METHOD_NOT_ALLOWED');
    expect(session.headers.allow?.split(', ')).toContain('GET');
    expectError(await request(server, 'GET', '/v1/nothing'), 'NOT_FOUND');
  });

  test.each([
    ['two Host headers', 'Host: 127.0.0.1\r\nhost: 127.0.0.1\r\n', 400, 'INVALID_REQUEST'],
    [
      'a head of 20 KB',
      `Host: 127.0.0.1\r\nX-Long: ${'x'.repeat(20_000)}\r\n`,
      431,
      'HEADERS_TOO_LARGE',
    ],
    ['a broken header', 'Host: 127.0.0.1\r\nno colon\r\n', 400, 'INVALID_REQUEST'],
    [
      'length and chunks at once',
      'Host: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n',
      400,
      'INVALID_REQUEST',
    ],
    [
      'two lengths',
      'Host: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n',
      400,
      'INVALID_REQUEST',
    ],
  ])('%s', async (_what, headers, status, code) => {
    const text = await raw(`POST /v1/classify HTTP/1.1\r\n${headers}Connection: close\r\n\r\n`);
    expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(text).toContain(code);
  });
});
