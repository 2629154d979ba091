import net from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MemoryView } from '../../src/contract/state/memory.js';
import { ERRORS } from '../../src/errors.js';
import {
  classify,
  get,
  isRunning,
  type Reply,
  request,
  type Server,
  startServer,
  until,
} from './harness.js';
import { expectNoGiveaway } from './shapes.js';

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'];
const ADDRESSES = [
  '/v1/classify',
  '/v1/sessions',
  '/v1/sessions/s_1',
  '/v1/sessions/s_1/end',
  '/v1/receipts',
  '/v1/memory',
  '/v1/memory/cleanup',
  '/v1/models',
  '/v1/models/spam/load',
  '/v1/models/spam/unload',
  '/health/live',
  '/health/ready',
  '/metrics',
  '/openapi.json',
  '/docs',
  '/',
];
/** Refusals that the interface documents with a 5xx status. */
const DOCUMENTED = new Set(
  Object.entries(ERRORS).flatMap(([code, { status }]) =>
    status >= 500 && code !== 'INTERNAL' ? [`${status} ${code}`] : [],
  ),
);
const CODES = new Map(Object.entries(ERRORS).map(([code, { status }]) => [code, status]));

let server: Server;
let privateAtStartMb: number;

async function privateMb(): Promise<number> {
  const { processes } = await get<MemoryView>(server, '/v1/memory');
  return processes.reduce((sum, { private_mb }) => sum + private_mb, 0);
}

/** Addresses of other protocols, which have errors of their own form. */
const OF_OTHER_DOORS =
  /^(?:\S+ )?\/(?:$|[ ?#]|v2|hf\/|models\/|tei|openai|predict|rerank|score|classify|tokenize|info|health(?:[ ?]|$)|v1\/(?:rerank|moderations))/;

/** The invariant: an answer, or the error envelope with a documented code; never a fault of ours. */
function check(reply: Reply<unknown>, what: string): void {
  if (reply.status >= 200 && reply.status < 400) return;
  if (OF_OTHER_DOORS.test(what)) {
    expect(reply.body, what).toBeTypeOf('object');
    expect([500, 502], `${what} → ${reply.text.slice(0, 300)}`).not.toContain(reply.status);
    expectNoGiveaway(reply.text.replaceAll(what, ''));
    return;
  }
  const shown = `${what} → ${reply.status} ${reply.text.slice(0, 300)}`;
  expect(reply.body, shown).toStrictEqual({
    error: {
      code: expect.any(String),
      message: expect.any(String),
      retryable: expect.any(Boolean),
    },
  });
  const { code } = (reply.body as { error: { code: string } }).error;
  expect(CODES.get(code), shown).toBe(reply.status);
  if (reply.status >= 500) expect(DOCUMENTED, shown).toContain(`${reply.status} ${code}`);
  expectNoGiveaway(reply.text.replaceAll(what, ''));
}

/** Texts with what breaks parsers: NULs, lone surrogates, right-to-left, long runs. */
const oddText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.constantFrom(
    '\u0000',
    '\ud800',
    '\udfff\ud800',
    '\u202e\u2066',
    '\ufeff',
    '%',
    '../..',
    '__proto__',
  ),
  fc.integer({ min: 1, max: 4000 }).map((length) => 'a'.repeat(length)),
);
const oddKey = fc.constantFrom(
  ...['inputs', 'model', 'top_k', 'session', 'user', 'max_users'],
  ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', ''],
);
const oddNumber = fc.constantFrom(-1, -0, 0.5, 1e308, 2 ** 53, -(2 ** 63), 5e-324);
const oddValue = fc.oneof(
  fc.jsonValue({ maxDepth: 4 }),
  oddText,
  oddNumber,
  fc.array(oddText, { maxLength: 5 }),
  fc.integer({ min: 10, max: 20_000 }).map((depth) => new Deep(depth)),
);
const oddBody = fc
  .array(fc.tuple(oddKey, oddValue), { maxLength: 6 })
  .map(
    (fields) => `{${fields.map(([key, of]) => `${JSON.stringify(key)}:${written(of)}`).join()}}`,
  );

class Deep {
  readonly depth: number;
  constructor(depth: number) {
    this.depth = depth;
  }
}

function written(value: unknown): string {
  return value instanceof Deep
    ? `${'['.repeat(value.depth)}${']'.repeat(value.depth)}`
    : (JSON.stringify(value) ?? 'null');
}

/** A path or query as a hostile client writes it: any byte that HTTP allows in a request line. */
const oddAddress = fc.oneof(
  fc.constantFrom(...ADDRESSES),
  fc
    .tuple(fc.constantFrom(...ADDRESSES), fc.webQueryParameters())
    .map(([path, query]) => `${path}?${query}`),
  fc
    .array(fc.stringMatching(/^[!-~]{0,20}$/), { maxLength: 6 })
    .map((parts) => `/${parts.join('/')}`),
  fc
    .tuple(fc.constantFrom('/v1/models/', '/v1/sessions/'), fc.stringMatching(/^[!-~]{0,200}$/))
    .map(([start, rest]) => start + rest),
);
const oddHeaders = fc.dictionary(
  fc.oneof(
    fc.stringMatching(/^x-[a-z0-9-]{1,20}$/),
    fc.constantFrom('accept', 'cookie', 'origin', 'range', 'if-none-match', 'x-forwarded-for'),
    fc.constantFrom('accept-version', 'x-request-id', 'authorization', 'content-type', 'te'),
  ),
  fc.stringMatching(/^[ -~]{0,60}$/).map((text) => text.trim()),
  { maxKeys: 5 },
);

beforeAll(async () => {
  // Small bounds, so that garbage also meets them.
  const settings = { 'http.body_limit': 65_536, 'session.max_open': 50 };
  server = await startServer({ settings });
  await classify(server, 'the first text prepares the model');
  privateAtStartMb = await privateMb();
});

afterAll(async () => {
  await server.stop();
});

describe('garbage', () => {
  test('as JSON, to every route with every method', async () => {
    for (const path of ADDRESSES) {
      for (const method of METHODS) {
        for (const raw of fc.sample(oddBody, 2)) {
          check(await request(server, method, path, { raw }), `${method} ${path} ${raw}`);
        }
        check(await request(server, method, path), `${method} ${path}`);
      }
    }
  });

  test('as fields of a classification', async () => {
    await fc.assert(
      fc.asyncProperty(oddBody, async (raw) => {
        check(await request(server, 'POST', '/v1/classify', { raw }), raw);
      }),
      { numRuns: 400 },
    );
  });

  test('as values that have the right form', async () => {
    const fields = fc.record(
      {
        inputs: fc.oneof(oddText, fc.array(oddText, { minLength: 1, maxLength: 4 })),
        model: fc.oneof(fc.constant('spam'), oddText),
        user: oddText,
        top_k: fc.integer(),
      },
      { requiredKeys: ['inputs'] },
    );
    await fc.assert(
      fc.asyncProperty(fields, async (body) => {
        check(await request(server, 'POST', '/v1/classify', { body }), JSON.stringify(body));
      }),
      { numRuns: 400 },
    );
  });

  test('as bytes under any content type', async () => {
    const types = fc.oneof(
      fc.constantFrom('application/json', 'application/json; charset=utf-16', 'text/plain', '*/*'),
      fc.stringMatching(/^[ -~]{0,40}$/).map((text) => text.trim()),
    );
    const bytes = fc.uint8Array({ maxLength: 300 }).map((part) => Buffer.from(part));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...ADDRESSES), types, bytes, async (path, type, raw) => {
        const headers = { 'content-type': type };
        check(await request(server, 'POST', path, { raw, headers }), `POST ${path} as ${type}`);
      }),
      { numRuns: 300 },
    );
  });

  test('as addresses, queries and headers', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...METHODS),
        oddAddress,
        oddHeaders,
        async (method, address, headers) => {
          check(await request(server, method, address, { headers }), address);
        },
      ),
      { numRuns: 600 },
    );
  });
});

describe('what is not even HTTP', () => {
  /** Sends bytes and reads what comes until the server closes, or has answered. */
  const talk = (bytes: Buffer): Promise<string> => {
    const { hostname, port } = new URL(server.url);
    return new Promise((resolve) => {
      const socket = net.connect(Number(port), hostname);
      let received = '';
      const done = () => resolve(received);
      socket.setEncoding('latin1').on('data', (text: string) => {
        received += text;
      });
      socket.on('error', done);
      socket.on('close', done);
      socket.end(bytes);
    });
  };

  /** Every answer in it that is no success bears the envelope. */
  const checkRaw = (received: string, sent: string) => {
    for (const part of received.split(/(?=HTTP\/1\.[01] \d{3} )/)) {
      const status = Number(/^HTTP\/1\.[01] (\d{3}) /.exec(part)?.[1] ?? 0);
      if (status < 400) continue;
      const text = part.slice(part.indexOf('\r\n\r\n') + 4);
      expect(status, `${sent} → ${part}`).toBeLessThan(500);
      expect(() => JSON.parse(text), `${sent} → ${part}`).not.toThrow();
      expect(JSON.parse(text)).toHaveProperty('error');
      expectNoGiveaway(text);
    }
  };

  test('any bytes, half requests, hostile heads', async () => {
    const json = '{"inputs":"hello"}';
    const whole = `POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${json.length}\r\n\r\n${json}`;
    const heads = [
      'GET / HTTP/9.9\r\n\r\n',
      'GET /health/live HTTP/1.1\r\n\r\n',
      'GET /health/live HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
      `GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`,
      `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
      'POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n',
      'POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
      'GET /health/live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
      'GET /health/live HTTP/1.1\r\nHost: localhost\r\nExpect: miracles\r\n\r\n',
      'CONNECT example.org:443 HTTP/1.1\r\nHost: localhost\r\n\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      '\u0016\u0003\u0001\u0000\u00f1\u0001',
    ];
    for (const head of heads) checkRaw(await talk(Buffer.from(head, 'latin1')), head);
    const halves = fc.integer({ min: 1, max: whole.length - 1 }).map((end) => whole.slice(0, end));
    const bytes = fc
      .uint8Array({ maxLength: 400 })
      .map((part) => Buffer.from(part).toString('latin1'));
    const bent = fc
      .tuple(
        fc.nat(whole.length - 1),
        fc.nat(255).map((code) => String.fromCharCode(code)),
      )
      .map(([at, letter]) => whole.slice(0, at) + letter + whole.slice(at + 1));
    await fc.assert(
      fc.asyncProperty(fc.oneof(halves, bytes, bent), async (sent) => {
        checkRaw(await talk(Buffer.from(sent, 'latin1')), sent);
      }),
      { numRuns: 600 },
    );
  });
});

describe('after all of it', () => {
  test('the same process still classifies, and its memory is where it was', async () => {
    expect(isRunning(server.pid)).toBe(true);
    expect(server.output()).not.toMatch(/"msg":"a request met a fault"/);
    expect(await get(server, '/health/ready')).toEqual({ status: 'ready' });
    const { sessions } = await get<{ sessions: { id: string; state: string }[] }>(
      server,
      '/v1/sessions',
    );
    for (const { id, state } of sessions) {
      if (state === 'open') await request(server, 'POST', `/v1/sessions/${id}/end`);
    }
    expect((await classify(server, 'still there?')).results).toHaveLength(1);
    // Thousands of requests later: what a heap keeps for itself, not what a leak takes.
    await until('memory has come back', async () => (await privateMb()) < privateAtStartMb + 200);
  });
});
