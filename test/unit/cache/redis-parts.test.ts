import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Circuit, CLOSED, nextCircuit } from '../../../src/cache/circuit.js';
import { decodeResult, encodeResult } from '../../../src/cache/redis-value.js';
import { isOnSameMachine } from '../../../src/cache/same-machine.js';

describe('a value in Redis', () => {
  const expiresAtMs = 1_700_000_000_123;
  const value = { result: { scores: [0.1234567, 0.8765433], truncated: true }, expiresAtMs };
  const bytes = encodeResult(value);
  const scored = (scores: number[]) =>
    encodeResult({ ...value, result: { scores, truncated: true } });

  it('is read as it was written, in 24 bytes for two scores', () => {
    expect(bytes).toHaveLength(24);
    expect(decodeResult(bytes, 2)).toEqual(value);
  });

  it('may hold the best labels only; how many says its length', () => {
    const best = { labels: [70_000, 3, 12], scores: [0.5, 0.3, 0.1], truncated: true };
    const value = { result: best, expiresAtMs: Date.now() + 1000 };
    const bytes = encodeResult(value);
    expect(decodeResult(bytes, 100_000)).toEqual(value);
    // One of them is no label of this model; three are not the best of three.
    expect(decodeResult(bytes, 70_000)).toBeUndefined();
    expect(decodeResult(bytes, 3)).toBeUndefined();
    expect(decodeResult(bytes.subarray(0, -1), 100_000)).toBeUndefined();
  });

  it('keeps every score of seven decimals, which single precision would not', () => {
    const score = fc.integer({ min: 0, max: 1e7 }).map((of) => of / 1e7);
    fc.assert(
      fc.property(fc.array(score, { minLength: 1, maxLength: 40 }), (scores) => {
        expect(decodeResult(scored(scores), scores.length)?.result.scores).toEqual(scores);
      }),
    );
    expect(Math.fround(0.1234567)).not.toBe(0.1234567);
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['text', Buffer.from('not scores')],
    ['text of the right length', Buffer.from('not scores of 24 letters')],
    ['another version', Buffer.concat([Buffer.from([2]), bytes.subarray(1)])],
    ['an unknown flag', Buffer.concat([Buffer.from([1, 2]), bytes.subarray(2)])],
    ['a value cut short', bytes.subarray(0, 23)],
    ['scores of another count', scored([1])],
    ['a score that is no number', scored([1, Number.NaN])],
  ])('is not taken from %s', (_, wrong) => {
    expect(decodeResult(wrong, 2)).toBeUndefined();
  });
});

describe('the circuit', () => {
  const limits = { failures: 3, pauseMs: 1000 };
  const open: Circuit = { state: 'open', failures: 3, openedAtMs: 5000 };
  const trying: Circuit = { ...open, state: 'trying' };
  const failedTwice: Circuit = { ...CLOSED, failures: 2 };

  it.each([
    ['closes after a good attempt', trying, 'succeeded', 6100, CLOSED],
    ['forgets failures at a success', failedTwice, 'succeeded', 6100, CLOSED],
    ['stays open at a late success', open, 'succeeded', 5100, open],
    ['counts a failure', CLOSED, 'failed', 5000, { ...CLOSED, failures: 1 }],
    ['opens at the third failure', failedTwice, 'failed', 5000, open],
    [
      'opens after a bad attempt',
      trying,
      'failed',
      6100,
      { ...open, failures: 4, openedAtMs: 6100 },
    ],
    ['is not put off by a late failure', open, 'failed', 5900, open],
    ['is left alone before the pause is over', open, 'asked', 5999, open],
    ['is tried after the pause', open, 'asked', 6000, trying],
    ['lets nobody else try meanwhile', trying, 'asked', 9000, trying],
    ['stays closed when asked', CLOSED, 'asked', 9000, CLOSED],
  ] as const)('%s', (_, now, event, timeMs, after) => {
    expect(nextCircuit(now, event, timeMs, limits)).toEqual(after);
  });
});

describe('the same machine', () => {
  it.each([
    ['redis://localhost:6379', true],
    ['redis://user:secret@127.0.0.53:6379', true],
    ['redis://[::1]:6379', true],
    ['unix:///run/redis.sock', true],
    ['rediss://192.0.2.7:6379', true],
    ['redis://192.0.2.8:6379', false],
    ['redis://127.0.0.1.example.com:6379', false],
  ])('%s: %s', (url, same) => {
    expect(isOnSameMachine(new URL(url), ['192.0.2.7'])).toBe(same);
  });
});
