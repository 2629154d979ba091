import { createHash, createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Circuit, CLOSED, nextCircuit } from '../../../src/cache/circuit.js';
import { ResultCodec } from '../../../src/cache/redis-value.js';
import { isOnSameMachine } from '../../../src/cache/same-machine.js';

describe('a value in Redis', () => {
  const codec = new ResultCodec('secret');
  const expiresAtMs = 1_700_000_000_123;
  const value = { result: { scores: [0.1234567, 0.8765433], truncated: true }, expiresAtMs };
  const bytes = codec.encode('key', value);
  const scored = (scores: number[], name = 'key') =>
    codec.encode(name, { ...value, result: { scores, truncated: true } });

  it('is read as it was written, in 40 bytes for two scores', () => {
    expect(bytes).toHaveLength(40);
    expect(codec.decode('key', bytes, 2)).toEqual(value);
    expect(new ResultCodec('secret').decode('key', bytes, 2)).toEqual(value);
  });

  it('may hold the best labels only; how many says its length', () => {
    const best = { labels: [70_000, 3, 12], scores: [0.5, 0.3, 0.1], truncated: true };
    const value = { result: best, expiresAtMs: Date.now() + 1000 };
    const bytes = codec.encode('key', value);
    expect(codec.decode('key', bytes, 100_000)).toEqual(value);
    // One of them is no label of this model; three are not the best of three.
    expect(codec.decode('key', bytes, 70_000)).toBeUndefined();
    expect(codec.decode('key', bytes, 3)).toBeUndefined();
    expect(codec.decode('key', bytes.subarray(0, -1), 100_000)).toBeUndefined();
  });

  it('keeps every score of seven decimals, which single precision would not', () => {
    const score = fc.integer({ min: 0, max: 1e7 }).map((of) => of / 1e7);
    fc.assert(
      fc.property(
        fc.array(score, { minLength: 1, maxLength: 400 }),
        fc.string(),
        (scores, name) => {
          const read = codec.decode(name, scored(scores, name), scores.length);
          expect(read?.result.scores).toEqual(scores);
        },
      ),
    );
    expect(Math.fround(0.1234567)).not.toBe(0.1234567);
  });

  it('is not taken once any bit of it, or of its key, is another', () => {
    const bit = fc.integer({ min: 0, max: 8 * bytes.length - 1 });
    fc.assert(
      fc.property(bit, (at) => {
        const changed = Buffer.from(bytes);
        const byte = Math.floor(at / 8);
        changed.writeUInt8(changed.readUInt8(byte) ^ (1 << (at % 8)), byte);
        expect(codec.decode('key', changed, 2)).toBeUndefined();
      }),
    );
    for (const name of ['', 'kex', 'key ', 'Key']) {
      expect(codec.decode(name, bytes, 2)).toBeUndefined();
    }
    expect(new ResultCodec('secreu').decode('key', bytes, 2)).toBeUndefined();
  });

  it('has the tag that Node computes', () => {
    const key = createHash('sha256').update('values of the cache\0').update('secret').digest();
    const named = Buffer.from([3, 0, 0, 0, ...Buffer.from('key')]);
    const tag = createHmac('sha256', key).update(named).update(bytes.subarray(0, 24)).digest();
    expect(bytes.subarray(24)).toEqual(tag.subarray(0, 16));
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['text', Buffer.from('not scores')],
    ['text of the right length', Buffer.from('not scores but a text of forty letters..')],
    ['a value cut short', bytes.subarray(0, 39)],
    ['scores of another count', scored([1])],
    ['a score that is no number', scored([1, Number.NaN])],
  ])('is not taken from %s', (_, wrong) => {
    expect(codec.decode('key', wrong, 2)).toBeUndefined();
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
