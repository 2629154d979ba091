import fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { MemoryTier } from '../../../src/cache/memory-tier.js';

const RESULT = { scores: [0.25, 0.75], truncated: false };
/** Bytes that an entry of two scores is counted with. */
const ENTRY = 220 + 2 * 8;

function tier(maxBytes: number, ttlSeconds = 60): MemoryTier {
  return new MemoryTier({ maxBytes, ttlSeconds });
}

function fill(cache: MemoryTier, count: number): void {
  for (let n = 0; n < count; n += 1) cache.set(`key ${n}`, RESULT);
}

test('gives back what was put in, and counts hits and misses', () => {
  const cache = tier(10_000);
  expect(cache.get('a')).toBeUndefined();
  cache.set('a', RESULT);
  expect(cache.get('a')).toEqual(RESULT);
  expect(cache.figures).toEqual({
    entries: 1,
    bytes: ENTRY,
    hits: 1,
    misses: 1,
    lifeLeft: cache.figures.lifeLeft,
  });
  expect(cache.figures.lifeLeft?.mostMs).toBeGreaterThan(0);
  expect(cache.figures.lifeLeft?.leastMs).toBeLessThanOrEqual(cache.figures.lifeLeft?.mostMs ?? 0);
});

test('an entry that is set again is counted once', () => {
  const cache = tier(10_000);
  cache.set('a', RESULT);
  cache.set('a', { scores: [1], truncated: true });
  expect(cache.figures).toMatchObject({ entries: 1, bytes: 228 });
  expect(cache.get('a')?.truncated).toBe(true);
});

test('the least recently used go first', () => {
  const cache = tier(3 * ENTRY);
  fill(cache, 3);
  cache.get('key 0');
  cache.set('new', RESULT);
  expect(cache.get('key 1')).toBeUndefined();
  expect(cache.get('key 0')).toEqual(RESULT);
  expect(cache.get('key 2')).toEqual(RESULT);
});

test('is never over its bound, and its books are right after each step', () => {
  const step = fc.oneof(
    fc.record({ type: fc.constant('set'), key: fc.nat(30), n: fc.nat(100) }),
    fc.record({ type: fc.constant('get'), key: fc.nat(30), n: fc.nat(0) }),
    fc.record({ type: fc.constant('shrink'), key: fc.nat(0), n: fc.nat(6000) }),
    fc.record({ type: fc.constant('clear'), key: fc.nat(0), n: fc.nat(0) }),
  );
  fc.assert(
    fc.property(
      fc.integer({ min: 220, max: 5000 }),
      fc.array(step, { maxLength: 60 }),
      (max, steps) => {
        const cache = tier(max);
        for (const { type, key, n } of steps) {
          const before = cache.figures.bytes;
          if (type === 'set')
            cache.set(`${key}`, { scores: new Array(n).fill(0.5), truncated: false });
          if (type === 'get') cache.get(`${key}`);
          if (type === 'shrink') {
            expect(cache.shrinkTo(n)).toBe(before - cache.figures.bytes);
            expect(cache.figures.bytes).toBeLessThanOrEqual(n);
          }
          if (type === 'clear') {
            expect(cache.clear()).toBe(before);
            expect(cache.figures).toMatchObject({ entries: 0, bytes: 0 });
          }
          const { bytes, entries } = cache.figures;
          expect(bytes).toBeLessThanOrEqual(max);
          expect(bytes).toBeGreaterThanOrEqual(entries * 220);
          expect(entries === 0).toBe(bytes === 0);
        }
      },
    ),
  );
});

test('an entry that is larger than all is not kept', () => {
  const cache = tier(300);
  cache.set('large', { scores: new Array(100).fill(0), truncated: false });
  expect(cache.figures).toMatchObject({ entries: 0, bytes: 0 });
});

describe('shrinking', () => {
  test('drops no more than it must, the least recently used first', () => {
    const cache = tier(10 * ENTRY);
    fill(cache, 10);
    expect(cache.shrinkTo(5 * ENTRY)).toBe(5 * ENTRY);
    expect(cache.get('key 4')).toBeUndefined();
    expect(cache.get('key 5')).toEqual(RESULT);
    expect(cache.shrinkTo(5 * ENTRY)).toBe(0);
    expect(cache.shrinkTo(0)).toBe(5 * ENTRY);
  });
});

test('entries expire after their time', () => {
  // lru-cache asks the clock once in a millisecond, which it measures with a timer.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const clock = vi.spyOn(performance, 'now').mockReturnValue(1000);
  onTestFinished(() => {
    clock.mockRestore();
    vi.useRealTimers();
  });
  const pass = (ms: number): void => {
    clock.mockReturnValue(performance.now() + ms);
    vi.advanceTimersByTime(ms);
  };
  const cache = tier(10_000, 60);
  cache.set('a', RESULT);
  pass(59_000);
  expect(cache.get('a')).toEqual(RESULT);
  pass(2_000);
  expect(cache.get('a')).toBeUndefined();
  expect(cache.figures).toMatchObject({ entries: 0, bytes: 0 });
});

test.each([0, 1, 219])('a bound of %d bytes switches it off', (maxBytes) => {
  const cache = tier(maxBytes);
  cache.set('a', RESULT);
  expect(cache.get('a')).toBeUndefined();
  expect(cache.figures).toEqual({ entries: 0, bytes: 0, hits: 0, misses: 1 });
  expect(cache.clear()).toBe(0);
  expect(cache.shrinkTo(0)).toBe(0);
});
