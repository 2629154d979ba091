import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { environmentName, settingKeys } from '../../../src/settings/config.js';
import {
  editDistance,
  isServiceLink,
  nearestName,
} from '../../../src/settings/environment/names.js';

const VARIABLES = settingKeys().map(environmentName);

describe('the nearest name', () => {
  test.each([
    ['PLIMSOLL_SESION_MAX_USERS', 'PLIMSOLL_SESSION_MAX_USERS'],
    ['PLIMSOLL_SESSION_MAXUSERS', 'PLIMSOLL_SESSION_MAX_USERS'],
    ['PLIMSOLL_PORT', 'PLIMSOLL_HTTP_PORT'],
    ['PLIMSOLL_HOST', 'PLIMSOLL_HTTP_HOST'],
    ['PLIMSOLL_LOAD_LINE', 'PLIMSOLL_MEMORY_LOAD_LINE'],
    ['PLIMSOLL_REDIS', 'PLIMSOLL_REDIS_URL'],
  ])('of %s is %s', (name, nearest) => {
    expect(nearestName(name, VARIABLES)).toBe(nearest);
  });

  test('of a known name is that name', () => {
    for (const name of VARIABLES) expect(nearestName(name, VARIABLES)).toBe(name);
  });

  test('of a name of any length is there, and soon', () => {
    expect(VARIABLES).toContain(nearestName(`PLIMSOLL_${'X'.repeat(1e6)}`, VARIABLES));
    expect(VARIABLES).toContain(nearestName('', VARIABLES));
  });

  test('no other is nearer when one letter is missing', () => {
    const cases = fc
      .constantFrom(...settingKeys())
      .chain((key) => fc.tuple(fc.constant(key), fc.integer({ min: 0, max: key.length - 1 })));
    fc.assert(
      fc.property(cases, ([key, at]) => {
        const written = key.slice(0, at) + key.slice(at + 1);
        const nearest = nearestName(written, settingKeys());
        expect(editDistance(written, nearest)).toBeLessThanOrEqual(1);
      }),
    );
  });
});

test.each([
  ['', '', 0],
  ['abc', '', 3],
  ['', 'abc', 3],
  ['port', 'http.port', 5],
  ['port', 'data', 6],
  ['abc', 'adc', 2],
  ['kitten', 'sitting', 5],
])('from %j to %j it is %i letters', (a, b, letters) => {
  expect(editDistance(a, b)).toBe(letters);
  expect(editDistance(b, a)).toBe(letters);
});

describe('a variable that Kubernetes sets for a Service', () => {
  const host = { PLIMSOLL_HTTP_SERVICE_HOST: '10.0.0.1' };

  test.each(['tcp://10.0.0.1:80', 'udp://10.0.0.1:53', 'sctp://[::1]:9'])('is %s', (value) => {
    expect(isServiceLink('PLIMSOLL_HTTP_PORT', { ...host, PLIMSOLL_HTTP_PORT: value })).toBe(true);
  });

  test.each([
    ['PLIMSOLL_HTTP_PORT', { ...host, PLIMSOLL_HTTP_PORT: '8000' }],
    ['PLIMSOLL_HTTP_PORT', { ...host, PLIMSOLL_HTTP_PORT: 'http://10.0.0.1:80' }],
    ['PLIMSOLL_HTTP_PORT', { PLIMSOLL_HTTP_PORT: 'tcp://10.0.0.1:80' }],
    ['PLIMSOLL_HTTP_PORT', host],
    ['PLIMSOLL_HTTP_HOST', { ...host, PLIMSOLL_HTTP_HOST: 'tcp://10.0.0.1:80' }],
  ])('is not %s of %j', (name, environment) => {
    expect(isServiceLink(name, environment)).toBe(false);
  });
});
