import type { FastifyInstance, InjectOptions } from 'fastify';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { KEY_SCOPES, type KeyScope } from '../../../../src/contract/service.js';
import { credentialOf } from '../../../../src/http/guards/credentials.js';
import { type KeyCheck, type Need, needOf } from '../../../../src/http/guards/key-guard.js';
import { digestOf, type Key, newSecret } from '../../../../src/keys/key.js';
import { Keyring } from '../../../../src/keys/keyring.js';
import { KeyLimits } from '../../../../src/keys/limits.js';
import { builtServer } from '../built-server.js';

const ALLOWED: Readonly<Record<string, readonly (KeyScope | 'none')[]>> = {
  open: ['none', 'classify', 'read', 'manage'],
  any: ['classify', 'read', 'manage'],
  classify: ['classify', 'manage'],
  read: ['read', 'manage'],
  manage: ['manage'],
};

function keyOf(name: string, secret: string, more: Partial<Key> = {}): Key {
  return {
    name,
    digest: digestOf(secret),
    scopes: ['classify'],
    requestsPerSecond: undefined,
    inputsPerMinute: undefined,
    createdAtMs: 0,
    expiresAtMs: undefined,
    revokedAtMs: undefined,
    old: undefined,
    from: 'database',
    ...more,
  };
}

/** A server that asks for these keys. */
async function guarded(keys: readonly Key[], need: Need = 'all') {
  const ring = new Keyring();
  ring.replace(keys);
  const limits = new KeyLimits(undefined);
  const refusals: string[] = [];
  const check: KeyCheck = {
    find: (secret, nowMs) => ring.find(secret, nowMs),
    remembers: (secret) => ring.remembers(secret),
    need: () => need,
    takeRequest: (caller) => limits.takeRequest(caller),
    takeInputs: (caller, count) => limits.takeInputs(caller, count),
    onRefusal: (reason) => void refusals.push(reason),
  };
  const app = await builtServer({ keys: check });
  await app.ready();
  return { app, ring, refusals };
}

const ask = (app: FastifyInstance, secret: string | undefined, more: InjectOptions = {}) =>
  app.inject({
    url: '/v1/config',
    ...more,
    headers: {
      ...(secret === undefined ? {} : { authorization: `Bearer ${secret}` }),
      ...more.headers,
    },
  });

describe('the matrix of routes and scopes', () => {
  test('no address is reached without the scope that it needs', async () => {
    const secrets = new Map(KEY_SCOPES.map((scope) => [scope, newSecret()]));
    const { app } = await guarded(
      [...secrets].map(([scope, secret]) => keyOf(scope, secret, { scopes: [scope] })),
    );
    const offences: string[] = [];
    for (const { methods, url, scope } of app.scopeTable()) {
      for (const method of methods) {
        for (const holder of ['none', ...KEY_SCOPES] as const) {
          const secret = holder === 'none' ? undefined : secrets.get(holder);
          const { statusCode: status } = await ask(app, secret, {
            method: method as 'GET',
            url: url.replaceAll(/:\w+|\*/g, 'x'),
            // Refused before its type or its form is looked at, and never handed to what would change the server.
            headers: { 'content-type': 'text/odd' },
            ...(method === 'GET' || method === 'HEAD' ? {} : { payload: 'x' }),
          });
          const expected = ALLOWED[scope]?.includes(holder)
            ? 'passes'
            : holder === 'none'
              ? 401
              : 403;
          const found = status === 401 || status === 403 ? status : 'passes';
          if (found !== expected) offences.push(`${method} ${url} (${scope}) ${holder}: ${status}`);
        }
      }
    }
    expect(app.scopeTable().length).toBeGreaterThan(40);
    expect(offences).toEqual([]);
  });
});

describe('a request', () => {
  test('is refused as RFC 6750 says, and the reply does not hold the key', async () => {
    const { app, refusals } = await guarded([]);
    const missing = await ask(app, undefined);
    expect(missing.statusCode).toBe(401);
    expect(missing.headers['www-authenticate']).toBe('Bearer realm="plimsoll"');
    const wrong = await ask(app, 'plim_wrong');
    expect(wrong.headers['www-authenticate']).toContain('error="invalid_token"');
    expect(wrong.json().error.code).toBe('UNAUTHORIZED');
    expect(JSON.stringify([wrong.headers, wrong.body])).not.toContain('plim_wrong');
    expect(refusals).toEqual(['missing', 'unknown']);
  });

  test.each([
    ['authorization', 'Bearer '],
    ['authorization', 'bearer '],
    ['x-api-key', ''],
    ['api-key', ''],
  ])('may carry its key in %s: %s', async (header, before) => {
    const secret = newSecret();
    const { app } = await guarded([keyOf('a', secret, { scopes: ['read'] })]);
    const reply = await app.inject({ url: '/v1/config', headers: { [header]: before + secret } });
    expect(reply.statusCode).toBe(200);
  });

  test('with an expired, a revoked or a replaced key is refused; within the grace it is not', async () => {
    const [expired, revoked, old, late] = [newSecret(), newSecret(), newSecret(), newSecret()];
    const now = Date.now();
    const scopes = ['read'] as const;
    const { app, ring } = await guarded([
      keyOf('expired', expired, { scopes, expiresAtMs: now - 1 }),
      keyOf('revoked', revoked, { scopes, revokedAtMs: now }),
      keyOf('rotated', newSecret(), {
        scopes,
        old: { digest: digestOf(old), untilMs: now + 60_000 },
      }),
      keyOf('later', newSecret(), { scopes, old: { digest: digestOf(late), untilMs: now - 1 } }),
    ]);
    const messages = [];
    for (const secret of [expired, revoked, late]) {
      messages.push((await ask(app, secret)).json().error.message.split(';')[0]);
    }
    expect(messages).toEqual(['the key has expired', 'the key was revoked', 'the key has expired']);
    expect((await ask(app, old)).statusCode).toBe(200);
    expect(ring.remembers(old)).toBe(true);
    ring.replace([]);
    expect(ring.remembers(old)).toBe(false);
    expect((await ask(app, old)).statusCode).toBe(401);
  });

  test('passes without a key where nobody needs one; a scope counts all the same', async () => {
    const secret = newSecret();
    const { app } = await guarded([keyOf('a', secret)], 'none');
    expect((await ask(app, undefined)).statusCode).toBe(200);
    expect((await ask(app, secret)).statusCode).toBe(403);
    const { app: unknown } = await guarded([], 'unknown');
    const reply = await ask(unknown, undefined);
    expect([reply.statusCode, reply.json().error.code]).toEqual([503, 'DATABASE_UNAVAILABLE']);
  });

  test('beyond the limit of its key is told when to go on', async () => {
    const secret = newSecret();
    const { app, refusals } = await guarded([
      keyOf('a', secret, { scopes: ['read'], requestsPerSecond: 2 }),
    ]);
    const replies = [await ask(app, secret), await ask(app, secret), await ask(app, secret)];
    expect(replies.map(({ statusCode }) => statusCode)).toEqual([200, 200, 429]);
    expect(replies.map(({ headers }) => headers['ratelimit-remaining'])).toEqual(['1', '0', '0']);
    expect(replies[2]?.headers).toMatchObject({ 'ratelimit-limit': '2', 'retry-after': '1' });
    expect(replies[2]?.json().error).toMatchObject({ code: 'RATE_LIMITED', retryable: true });
    expect(refusals).toEqual(['limit']);
  });
});

test('who tries keys is held back, and then refused; a key that was valid before is not', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const [known, fresh] = [newSecret(), newSecret()];
  const { app, refusals } = await guarded([
    keyOf('known', known, { scopes: ['read'] }),
    keyOf('fresh', fresh, { scopes: ['read'] }),
  ]);
  expect((await ask(app, known)).statusCode).toBe(200);
  for (let n = 0; n < 10; n += 1) expect((await ask(app, `wrong-${n}`)).statusCode).toBe(401);
  let settled = 0;
  const held = Array.from({ length: 8 }, (_, n) =>
    ask(app, n === 0 ? fresh : `wrong-again-${n}`).then((reply) => {
      settled += 1;
      return reply.statusCode;
    }),
  );
  await vi.waitFor(async () => {
    const reply = await ask(app, 'wrong-still');
    expect(reply.statusCode).toBe(429);
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0);
  });
  expect((await ask(app, known)).statusCode).toBe(200);
  expect(settled).toBe(0);
  await vi.advanceTimersByTimeAsync(1000);
  expect(await Promise.all(held)).toEqual([200, 401, 401, 401, 401, 401, 401, 401]);
  expect(refusals).toContain('attempts');
});

test.each([
  [
    'off',
    { isOpen: false, areOn: false, areKnown: true, isReachable: false, isBehindProxy: false },
  ],
  ['off', { isOpen: true, areOn: false, areKnown: true, isReachable: true, isBehindProxy: true }],
  ['none', { isOpen: true, areOn: true, areKnown: true, isReachable: true, isBehindProxy: false }],
  ['all', { isOpen: false, areOn: true, areKnown: true, isReachable: false, isBehindProxy: false }],
  ['all', { isOpen: false, areOn: false, areKnown: true, isReachable: true, isBehindProxy: false }],
  [
    'unknown',
    { isOpen: false, areOn: false, areKnown: false, isReachable: true, isBehindProxy: false },
  ],
  [
    'unknown',
    { isOpen: false, areOn: false, areKnown: false, isReachable: false, isBehindProxy: true },
  ],
  [
    'off',
    { isOpen: false, areOn: false, areKnown: false, isReachable: false, isBehindProxy: false },
  ],
] as const)('%s need a key with %o', (need, facts) => {
  expect(needOf(facts)).toBe(need);
});

test.each([
  [{ authorization: 'Bearer a' }, 'a'],
  [{ authorization: 'BEARER   a ' }, 'a'],
  [{ authorization: 'Basic a', 'x-api-key': 'b' }, 'b'],
  [{ authorization: 'Bearer ' }, undefined],
  [{ 'api-key': 'c' }, 'c'],
  [{ 'x-api-key': '' }, undefined],
  [{}, undefined],
])('the key in %o is %s', (headers, key) => {
  expect(credentialOf(headers)).toBe(key);
});
