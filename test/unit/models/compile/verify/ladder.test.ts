import { describe, expect, test } from 'vitest';
import {
  integersFor,
  isWorthTrying,
  keptGroups,
  ladderOf,
  type Tried,
} from '../../../../../src/models/compile/verify/ladder.js';
import {
  builtInTexts,
  unlikeNeighbours,
} from '../../../../../src/models/compile/verify/probe-set.js';

const PRODUCTS = [{ name: 'a', from: 100, to: 100 }];
const FACTS = { shipped: [], products: PRODUCTS, weightBytes: 50_000, integers: ['int8'] } as const;

describe('the ladder', () => {
  test('shipped graphs first, then ours, then ours without the worst layers', () => {
    const ladder = ladderOf({ ...FACTS, shipped: [{ weights: ['q8.onnx'] }] });
    expect(ladder.map(({ form }) => form)).toEqual([
      'q8 q8.onnx',
      'int8',
      'int8 without 17 % of the layers',
      'int8 without 33 % of the layers',
    ]);
  });

  test('embeddings become integers where they are half of the weights', () => {
    const forms = ladderOf({ ...FACTS, weightBytes: 80_000 }).map(({ form }) => form);
    expect(forms.slice(0, 2)).toEqual(['int8 with embeddings', 'int8']);
  });

  test('a graph without products leaves nothing of our own', () => {
    expect(ladderOf({ ...FACTS, products: [] })).toEqual([]);
  });

  test.each([
    ['x64', ['avx2', 'avx512_vnni'], ['int8']],
    ['x64', ['avx2', 'avx_vnni'], ['int8']],
    ['x64', ['avx2', 'avx512f'], ['int7', 'uint8']],
    ['arm64', [], ['int8']],
  ])('on %s with %j: %j', (arch, flags, kinds) => {
    expect(integersFor(arch, flags)).toEqual(kinds);
  });

  test('the next rung depends on what has become of those before it', () => {
    const [whole, less] = ladderOf(FACTS);
    if (whole === undefined || less === undefined) throw new Error('the ladder is too short');
    const following = (outcome: Tried['outcome']) =>
      isWorthTrying(less, [{ candidate: whole, outcome }]);
    expect(isWorthTrying(whole, [])).toBe(true);
    expect([
      following('disagrees'),
      following('verified'),
      following('slower'),
      following('broken'),
    ]).toEqual([...[true, false, false, false]]);
  });

  test('the groups that shift scores the most are kept', () => {
    expect([...keptGroups([0.1, 0.5, 0.2, 0.4, 0, 0], 1 / 3)]).toEqual([1, 3]);
    expect([...keptGroups([0.1], 1 / 6)]).toEqual([0]);
  });
});

describe('the probe set', () => {
  test('is large enough that one label may differ, and every text is another', () => {
    const texts = builtInTexts();
    expect(texts.length).toBeGreaterThanOrEqual(200);
    expect(new Set(texts).size).toBe(texts.length);
    expect(texts).toEqual(builtInTexts());
  });

  test('every batch holds short and long texts, and no text is lost', () => {
    const lengths = Array.from({ length: 50 }, (_, at) => (at * 37) % 50);
    const order = unlikeNeighbours(lengths, 8);
    expect([...order].sort((a, b) => a - b)).toEqual(lengths.map((_, at) => at));
    for (let at = 0; at < 48; at += 8) {
      const batch = order.slice(at, at + 8).map((index) => lengths[index] ?? 0);
      expect(Math.max(...batch) - Math.min(...batch)).toBeGreaterThan(30);
    }
  });
});
