import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { routeOf, sessionHref } from '../../../web/route.js';

describe('the address behind #', () => {
  test('names a session, or is the overview', () => {
    expect(routeOf('')).toEqual({ view: 'overview' });
    expect(routeOf('#/')).toEqual({ view: 'overview' });
    expect(routeOf('#/sessions/s_1')).toEqual({ view: 'session', id: 's_1' });
    expect(routeOf('#/sessions/a/b')).toEqual({ view: 'overview' });
  });

  test('is taken as it stands where its percent-encoding is broken', () => {
    for (const id of ['%', '%E0%A4', '%zz', 's_%2']) {
      expect(routeOf(`#/sessions/${id}`)).toEqual({ view: 'session', id });
    }
  });

  test('leads back to every id, and never throws', () => {
    const unit = fc.constantFrom('%', '/', '#', '2', 'F', ' ', 'é', '名', '😀', 'ش');
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit }), (id) => {
        expect(routeOf(sessionHref(id))).toEqual({ view: 'session', id });
      }),
    );
    fc.assert(fc.property(fc.string({ unit }), (text) => void routeOf(`#/sessions/${text}`)));
  });
});
