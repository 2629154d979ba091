import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CacheKeys } from '../../../src/cache/key.js';

const cacheKey = (secret: string, digest: string, input: string, task = 'task') =>
  new CacheKeys(secret).of({ digest, task }, input);

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

test('tells text in one form from the same bytes in another', () => {
  expect(cacheKey('s', 'd', 'a\0b\0')).not.toBe(cacheKey('s', 'd', 'ab'));
  // The first is UTF-16 of these bytes, the second is these bytes.
  expect(cacheKey('s', 'd', '\u6161')).not.toBe(cacheKey('s', 'd', 'aa'));
  expect(cacheKey('s', 'd', '\u00e9')).not.toBe(cacheKey('s', 'd', '\u00c3\u00a9'));
});

test('is another for other parameters of the task', () => {
  expect(cacheKey('s', 'd', 'i', 'single-label')).not.toBe(cacheKey('s', 'd', 'i', 'multi-label'));
  expect(cacheKey('s', 'd', '1:bi', 'a')).not.toBe(cacheKey('s', 'd', 'i', 'a1:b'));
});

test('is the HMAC-MD5 of scope and input, and not their MD5', () => {
  const key = createHash('sha256').update('secret').digest('hex');
  const digestOf = (of: Hash | Hmac, input: Buffer) =>
    of.update('6:digest4:task').update(input).digest('base64url');
  const ascii = Buffer.from('a:input');
  const accented = Buffer.concat([Buffer.from('u:'), Buffer.from('é\ud800', 'utf16le')]);
  const keyOf = (input: string) => cacheKey('secret', 'digest', input);
  expect(keyOf('input')).toBe(digestOf(createHmac('md5', key), ascii));
  expect(keyOf('é\ud800')).toBe(digestOf(createHmac('md5', key), accented));
  // Longer than what room is kept for.
  const [long, broad] = ['x'.repeat(100_000), 'é'.repeat(50_000)];
  const broadBytes = Buffer.concat([Buffer.from('u:'), Buffer.from(broad, 'utf16le')]);
  expect(keyOf(long)).toBe(digestOf(createHmac('md5', key), Buffer.from(`a:${long}`)));
  expect(keyOf(broad)).toBe(digestOf(createHmac('md5', key), broadBytes));
  expect(keyOf('input')).toBe(digestOf(createHmac('md5', key), ascii));
  expect(keyOf('input')).not.toBe(digestOf(createHash('md5'), ascii));
});

test('one maker of keys for many models gives what a fresh one gives for each', () => {
  const keys = new CacheKeys('secret');
  const scope = fc.record({ digest: hex, task: fc.constantFrom('single', 'multi') });
  const input = fc.oneof(text, fc.constantFrom('x'.repeat(70_000), 'ü'.repeat(40_000)));
  fc.assert(
    fc.property(fc.array(fc.tuple(scope, input), { maxLength: 6 }), (asked) => {
      for (const [{ digest, task }, of] of asked) {
        expect(keys.of({ digest, task }, of)).toBe(cacheKey('secret', digest, of, task));
      }
    }),
  );
});

test('is another for parameters that differ in their last letter, or beyond Latin-1, however long they are', () => {
  const long = 'x'.repeat(100_000);
  expect(cacheKey('s', 'd', 'i', `${long}a`)).not.toBe(cacheKey('s', 'd', 'i', `${long}b`));
  expect(cacheKey('s', 'd', 'i', `${long}a`)).toBe(cacheKey('s', 'd', 'i', `${long}a`));
  // The low byte of the one is the other.
  expect(cacheKey('s', 'd', 'i', '\u0150')).not.toBe(cacheKey('s', 'd', 'i', 'P'));
});
