import { describe, expect, test } from 'vitest';
import { chosenDoors, healthAddresses } from '../../../../src/http/doors/open-doors.js';
import { probeCheck } from '../../../../src/http/guards/probes.js';
import { builtServer } from '../built-server.js';

/** How health is called in the addresses of any protocol. */
const HEALTH = /\/(health|healthz|live|ready|ping)(\/|$)/;
/** A pod's probe asks by address. */
const OTHER_HOST = { host: '10.1.2.3:8000' };

const everyDoor = healthAddresses(chosenDoors('all'));

describe('health addresses', () => {
  test('every route that is open and named like one is declared by its door', async () => {
    const app = await builtServer();
    await app.ready();
    const isProbe = probeCheck(everyDoor);
    const named = app
      .scopeTable()
      .filter(
        ({ scope, url, methods }) =>
          scope === 'open' && methods.includes('GET') && HEALTH.test(url),
      )
      .map(({ url }) => url);
    expect(named).toEqual(expect.arrayContaining(['/v2/health/live', '/health', '/tei/health']));
    expect(named.filter((url) => !isProbe({ method: 'GET', url }))).toEqual([]);
  });

  test.each([
    ...everyDoor.filter((address) => !address.includes('{id}')),
    '/health/live',
    '/metrics',
  ])('%s answers whatever the Host; other addresses do not', async (url) => {
    const app = await builtServer();
    expect((await app.inject({ url, headers: OTHER_HOST })).statusCode).toBe(200);
    expect((await app.inject({ url: `${url}?a=b`, headers: OTHER_HOST })).statusCode).toBe(200);
    const other = await app.inject({ url: '/v1/config', headers: OTHER_HOST });
    expect(other.statusCode).toBe(421);
  });

  test('those of a model are probes with any id', async () => {
    const app = await builtServer();
    const reply = await app.inject({ url: '/tei/org/name/health', headers: OTHER_HOST });
    // There are no models in this test.
    expect(reply.statusCode).not.toBe(421);
    const isProbe = probeCheck(everyDoor);
    expect(isProbe({ method: 'GET', url: '/v2/models/org/name/ready' })).toBe(true);
    expect(isProbe({ method: 'HEAD', url: '/v2/models/a/versions/1/ready?x=1' })).toBe(true);
  });

  test.each([
    ['POST', '/v2/models/a/ready'],
    ['GET', '/v2/models/ready'],
    ['GET', '/v2/models/a/stats?x=/ready'],
    ['GET', '/v2/models/a/config#/ready'],
    ['GET', '/healthy'],
    ['GET', '/v1/health'],
  ])('%s %s is no probe', (method, url) => {
    expect(probeCheck(everyDoor)({ method, url })).toBe(false);
  });

  test('a closed door has none', async () => {
    const doors = chosenDoors('plimsoll');
    expect(healthAddresses(doors)).toEqual([]);
    const app = await builtServer({ doors });
    const reply = await app.inject({ url: '/v2/health/live', headers: OTHER_HOST });
    expect(reply.statusCode).toBe(421);
  });
});
