import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cacheKey } from '../../../src/cache/key.js';

/** Secrets and digests as they are. */
const hex = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 1, maxLength: 3 });
const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('', '1:', '\ud800', '\udc00'));

test('is the same for the same secret, model and input', () => {
  expect(cacheKey('secret', 'digest', 'input')).toBe(cacheKey('secret', 'digest', 'input'));
  expect(cacheKey('secret', 'digest', 'input')).toMatch(/^[\w-]{22}$/);
});

test('is another for any other secret, model or input', () => {
  const parts = fc.tuple(hex, hex, text);
  fc.assert(
    fc.property(parts, parts, (a, b) => {
      const isSame = a.every((part, index) => part === b[index]);
      expect(cacheKey(...a) === cacheKey(...b)).toBe(isSame);
    }),
    {
      examples: [
        [
          ['5', 'a', 'bc'],
          ['5', 'ab', 'c'],
        ],
      ],
    },
  );
});

test('does not let model and input run into one another', () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 20 }), (all, cut) => {
      fc.pre(cut < all.length);
      expect(cacheKey('s', all.slice(0, cut), all.slice(cut))).not.toBe(cacheKey('s', '', all));
    }),
  );
});

test('tells lone surrogates apart, which UTF-8 would write alike', () => {
  expect(cacheKey('s', 'd', '\ud800')).not.toBe(cacheKey('s', 'd', '\ud801'));
  expect(cacheKey('s', 'd', '\ud800')).not.toBe(cacheKey('s', 'd', '\ufffd'));
});

test('cannot be computed without the secret', () => {
  const plain = createHash('md5')
    .update('6:digest5:')
    .update('input', 'utf16le')
    .digest('base64url');
  expect(cacheKey('', 'digest', 'input')).not.toBe(plain);
});
