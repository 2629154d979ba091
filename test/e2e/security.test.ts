import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Server, startServer, temporaryFolder } from './harness.js';

const MANAGE = 'plim_manage_0123456789abcdefghijklmnopqrs';
const LIMITED = 'plim_limited_0123456789abcdefghijklmnopqr';
const TOKENIZING = ['own', 'root', 'tei'].map(
  (door) => `plim_${door}_0123456789abcdefghijklmnopqrstuvw`,
);
const KEYS = [
  `ops manage ${MANAGE}`,
  ...[LIMITED, ...TOKENIZING].map(
    (key, index) => `team-${'abcd'[index]} classify ${key} inputs-per-minute=3`,
  ),
]
  .map((line) => `${line}\n`)
  .join('');
let server: Server;
let file: string;

beforeAll(async () => {
  file = path.join(await temporaryFolder(), 'keys');
  writeFileSync(file, KEYS, { mode: 0o600 });
  server = await startServer({
    settings: {
      'keys.file': file,
      'http.trust_proxy': '1',
      'http.cors': 'https://app.example.org',
      'http.body_limit': '65536',
    },
  });
});

afterAll(async () => {
  await server?.stop();
});

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

async function classify(
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string>,
): Promise<Response> {
  return fetch(`${server.url}/v1/classify`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  });
}

/** Sends bytes as they are. @returns what came back until the server closed the connection. */
function raw(text: string): Promise<string> {
  const { port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1', () => socket.write(text));
    let got = '';
    socket.on('data', (chunk) => {
      got += String(chunk);
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(got));
  });
}

describe('a key', () => {
  test('names the user, and its inputs are counted', async () => {
    const first = await classify('{"inputs":["a","b"]}', bearer(LIMITED));
    expect(first.status).toBe(200);
    expect(((await first.json()) as { user: string }).user).toBe('team-a');
    expect(first.headers.get('ratelimit-remaining')).toBe('1');
    const second = await classify('{"inputs":["a","b"]}', bearer(LIMITED));
    expect(second.status).toBe(429);
    expect(Number(second.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await second.json()).toMatchObject({ error: { code: 'RATE_LIMITED' } });
  });

  test('pays for texts that are tokenized, and cannot send more at once than a minute holds', async () => {
    const tokenize = (url: string, body: object, key: string) =>
      fetch(`${server.url}${url}`, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { ...bearer(key), 'content-type': 'application/json' },
      });
    const inputs = ['a', 'b'];
    const urls = ['/v1/tokenize', '/tokenize', '/tei/spam/tokenize'];
    const body = { model: 'spam', inputs };
    for (const [index, url] of urls.entries()) {
      const key = TOKENIZING[index] ?? '';
      const first = await tokenize(url, body, key);
      expect([first.status, first.headers.get('ratelimit-remaining')]).toEqual([200, '1']);
      expect((await tokenize(url, body, key)).status).toBe(429);
      const beyond = await tokenize(url, { ...body, inputs: ['a', 'b', 'c', 'd'] }, key);
      expect([beyond.status, beyond.headers.get('retry-after')]).toEqual([413, null]);
    }
  });

  test('of the file, and of the database, stops working within a second of its end', async () => {
    const made = await fetch(`${server.url}/v1/keys`, {
      method: 'POST',
      headers: { ...bearer(MANAGE), 'content-type': 'application/json' },
      body: '{"name":"short","scopes":["read"]}',
    });
    expect(made.status).toBe(201);
    const { key } = (await made.json()) as { key: string };
    const read = () => fetch(`${server.url}/v1/config`, { headers: bearer(key) });
    expect((await read()).status).toBe(200);
    const list = await (await fetch(`${server.url}/v1/keys`, { headers: bearer(MANAGE) })).text();
    expect(list).toContain('"short"');
    expect(list).not.toContain(key);
    await fetch(`${server.url}/v1/keys/short`, { method: 'DELETE', headers: bearer(MANAGE) });
    expect((await read()).status).toBe(401);
    writeFileSync(file, `${KEYS}late read ${'plim_late_0123456789abcdefghijklmnopqrstu'}\n`);
    const late = bearer('plim_late_0123456789abcdefghijklmnopqrstu');
    await expect
      .poll(async () => (await fetch(`${server.url}/v1/config`, { headers: late })).status, {
        timeout: 10_000,
      })
      .toBe(200);
  });

  test('is in no log, metric, error, setting, event or description', async () => {
    const urls = ['/metrics', '/v1/config', '/v1/keys', '/openapi.json', '/v1/events/past'];
    const texts = await Promise.all(
      urls.map(async (url) => {
        const reply = await fetch(server.url + url, { headers: bearer(MANAGE) });
        expect([url, reply.status]).toEqual([url, 200]);
        return reply.text();
      }),
    );
    const wrong = await classify('{', bearer(MANAGE));
    texts.push(await wrong.text(), JSON.stringify([...wrong.headers]), server.output());
    for (const text of texts) {
      expect(text).not.toContain(MANAGE);
      expect(text).not.toContain(LIMITED);
    }
    // One of /v1/classify, and of each address that tokenizes two.
    expect(texts[0]).toMatch(/plimsoll_key_refusals_total\{reason="limit"\} 7/);
  });
});

describe('a packed body', () => {
  const body = Buffer.from('{"inputs":"hello"}');

  test.each([
    ['gzip', gzipSync(body)],
    ['br', brotliCompressSync(body)],
    ['deflate', deflateSync(body)],
  ])('in %s is unpacked', async (encoding, packed) => {
    const reply = await classify(packed, { ...bearer(MANAGE), 'content-encoding': encoding });
    expect(reply.status).toBe(200);
  });

  test.each([
    ['gzip', gzipSync(Buffer.alloc(64 * 2 ** 20, 'a'))],
    ['br', brotliCompressSync(Buffer.alloc(64 * 2 ** 20, 'a'))],
  ])('in %s that unpacks to more than the limit is refused', async (encoding, bomb) => {
    expect(bomb.length).toBeLessThan(70_000);
    const reply = await classify(bomb, { ...bearer(MANAGE), 'content-encoding': encoding });
    expect([
      reply.status,
      ((await reply.json()) as { error: { code: string } }).error.code,
    ]).toEqual([413, 'BODY_TOO_LARGE']);
  });

  test('of another kind, or that is none, is refused', async () => {
    const odd = await classify(body, { ...bearer(MANAGE), 'content-encoding': 'zstd' });
    expect(odd.status).toBe(415);
    const broken = await classify(body, { ...bearer(MANAGE), 'content-encoding': 'gzip' });
    expect(broken.status).toBe(400);
  });
});

describe('requests that two servers could read differently', () => {
  const head = `POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${MANAGE}\r\nContent-Type: application/json\r\n`;
  const hidden = 'GET /v1/config HTTP/1.1\r\nHost: localhost\r\n\r\n';

  test.each([
    [
      'both lengths',
      `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
    ],
    ['two lengths', `${head}Content-Length: 2\r\nContent-Length: 60\r\n\r\n{}${hidden}`],
    [
      'a folded header',
      `${head}X-A: b\r\n c\r\nTransfer-Encoding:\r\n chunked\r\nContent-Length: 2\r\n\r\n{}`,
    ],
    ['a bare line feed', `${head.replaceAll('\r\n', '\n')}Content-Length: 2\n\n{}`],
    ['a space before the colon', `${head}Content-Length : 2\r\n\r\n{}`],
    ['an odd coding', `${head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${hidden}`],
    ['an odd chunk', `${head}Transfer-Encoding: chunked\r\n\r\n2;a=\n\r\n{}\r\n0\r\n\r\n${hidden}`],
    ['a signed length', `${head}Content-Length: +2\r\n\r\n{}`],
  ])('with %s are refused, and the connection ends', async (_what, text) => {
    const got = await raw(text);
    expect(got).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(got.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(got).toContain('Connection: close');
  });
});

describe('behind a proxy', () => {
  test('clients are told apart by X-Forwarded-For, and the name is X-Forwarded-Host', async () => {
    const reply = await fetch(`${server.url}/v1/config`, {
      headers: { ...bearer(MANAGE), 'x-forwarded-host': 'evil.example' },
    });
    expect(reply.status).toBe(421);
    for (let n = 0; n < 10; n += 1) {
      const from = { ...bearer(`wrong-${n}`), 'x-forwarded-for': '203.0.113.9' };
      expect((await fetch(`${server.url}/v1/config`, { headers: from })).status).toBe(401);
    }
    const begun = performance.now();
    const headers = { ...bearer('wrong'), 'x-forwarded-for': '203.0.113.9' };
    expect((await fetch(`${server.url}/v1/config`, { headers })).status).toBe(401);
    // It is held back for a second; another client's is not.
    expect(performance.now() - begun).toBeGreaterThan(900);
  });

  test('probes may use any name; everything else may not', async () => {
    const get = (url: string) =>
      raw(
        `GET ${url} HTTP/1.1\r\nHost: 10.1.2.3\r\nAuthorization: Bearer ${MANAGE}\r\nConnection: close\r\n\r\n`,
      );
    expect(await get('/health/live')).toMatch(/^HTTP\/1\.1 200/);
    expect(await get('/metrics')).toMatch(/^HTTP\/1\.1 200/);
    expect(await get('/v1/config')).toMatch(/^HTTP\/1\.1 421/);
  });

  test('pages of a named origin may ask, and those of others may not', async () => {
    const preflight = await fetch(`${server.url}/v1/classify`, {
      method: 'OPTIONS',
      headers: { origin: 'https://app.example.org', 'access-control-request-method': 'POST' },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-headers')).toContain('authorization');
    const named = { ...bearer(MANAGE), origin: 'https://app.example.org' };
    const allowed = await classify('{"inputs":"hello"}', named);
    expect(allowed.status).toBe(200);
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://app.example.org');
    const other = await classify('{"inputs":"hello"}', {
      ...named,
      origin: 'https://evil.example',
    });
    expect(other.status).toBe(403);
    expect(other.headers.get('access-control-allow-origin')).toBeNull();
  });
});
