import fastify from 'fastify';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { KeyScope } from '../../../../src/contract/service.js';
import { eventRoutes } from '../../../../src/http/doors/plimsoll/events.js';
import { jobEventRoutes } from '../../../../src/http/doors/plimsoll/jobs/job-events.js';
import { guardRoutes, type KeyCheck, type Need } from '../../../../src/http/guards/key-guard.js';
import { mayGoOn } from '../../../../src/http/guards/stream-guard.js';
import type { HttpServices } from '../../../../src/http/services.js';
import { digestOf, type Key, newSecret } from '../../../../src/keys/key.js';
import { Keyring } from '../../../../src/keys/keyring.js';
import { EventPublisher } from '../../../../src/page/publisher.js';
import { NO_KEYS } from '../built-server.js';

function keyOf(secret: string, more: Partial<Key> = {}): Key {
  return {
    name: 'a',
    digest: digestOf(secret),
    scopes: ['read'],
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

/** The real routes of both streams on the loopback interface, behind the guard of keys. */
async function streams(keys: readonly Key[]) {
  const ring = new Keyring();
  ring.replace(keys);
  let need: Need = 'all';
  const keyCheck: KeyCheck = {
    ...NO_KEYS,
    find: (secret, nowMs) => ring.find(secret, nowMs),
    need: () => need,
  };
  const events = new EventPublisher({
    ...{ maxViewers: 3, intervalMs: 1000, onError: () => undefined },
    state: async () => ({}),
  });
  const show = async () => ({ id: 'j', state: 'running', ended_at: null });
  const services = { events, jobs: { show }, keyCheck } as unknown as HttpServices;
  const app = fastify();
  guardRoutes(app, keyCheck);
  eventRoutes(app, services);
  jobEventRoutes(app, services);
  onTestFinished(() => app.close());
  const address = await app.listen({ host: '127.0.0.1', port: 0 });
  const open = async (url: string, secret?: string) => {
    const headers = secret === undefined ? {} : { authorization: `Bearer ${secret}` };
    const reply = await fetch(address + url, { headers });
    const reader = reply.body?.getReader();
    if (reader === undefined) throw new Error('a stream has a body');
    await reader.read();
    const ended = async () => {
      while (!(await reader.read()).done);
    };
    return { status: reply.status, ended };
  };
  return { ring, events, open, setNeed: (other: Need) => (need = other) };
}

describe.each(['/v1/events', '/v1/jobs/j/events'])('the open stream %s', (url) => {
  test('ends when its key is revoked; the stream of another key goes on', async () => {
    const [secret, other] = [newSecret(), newSecret()];
    const kept = keyOf(other, { name: 'b' });
    const { ring, open } = await streams([keyOf(secret), kept]);
    const stream = await open(url, secret);
    const neighbour = await open(url, other);
    expect([stream.status, neighbour.status]).toEqual([200, 200]);
    let isOver = false;
    void neighbour.ended().then(
      () => (isOver = true),
      () => undefined,
    );
    ring.replace([keyOf(secret, { revokedAtMs: Date.now() }), kept]);
    await stream.ended();
    expect(isOver).toBe(false);
  });

  test('ends when its key expires', async () => {
    const secret = newSecret();
    const { open } = await streams([keyOf(secret, { expiresAtMs: Date.now() + 1000 })]);
    await (await open(url, secret)).ended();
  });

  test('that was opened without a key ends when one is needed', async () => {
    const { open, setNeed } = await streams([]);
    setNeed('off');
    const stream = await open(url);
    setNeed('all');
    await stream.ended();
  });
});

test('a viewer whose key was revoked gives its place back', async () => {
  const secret = newSecret();
  const { ring, open, events } = await streams([keyOf(secret)]);
  const stream = await open('/v1/events', secret);
  expect(events.viewerCount).toBe(1);
  ring.replace([]);
  await stream.ended();
  await expect.poll(() => events.viewerCount).toBe(0);
});

test.each([
  ['off', undefined, [], true],
  ['unknown', 'wrong', [], true],
  ['none', undefined, [], true],
  ['none', 'wrong', [], false],
  ['all', undefined, [], false],
  ['all', 'known', ['read'], true],
  ['all', 'known', ['manage'], true],
  ['all', 'known', ['classify'], false],
] as const)(
  'where %s need a key, a stream with %s and %j goes on: %s',
  (need, secret, scopes, expected) => {
    const ring = new Keyring();
    ring.replace([keyOf('known', { scopes: scopes as readonly KeyScope[] })]);
    const check = { need: () => need, find: ring.find.bind(ring) };
    expect(mayGoOn(check, secret, 'read', 0)).toBe(expected);
  },
);
