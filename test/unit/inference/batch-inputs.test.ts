import { describe, expect, test } from 'vitest';
import { chunkCountOf, sizesOf } from '../../../src/inference/batch-inputs.js';

/** Of texts with so many characters, for a model that takes 64 tokens. */
function sizes(characters: readonly number[], stride?: number): readonly number[] {
  const texts = characters.map((count) => 'x'.repeat(count));
  const tokens = { aggregation: 'simple', ignoreLabels: [] } as const;
  return sizesOf(texts, 64, stride === undefined ? tokens : { ...tokens, stride });
}

describe('what a row counts', () => {
  test('is its characters, up to what the model takes', () => {
    expect(sizes([0, 1, 64, 300, 1e6])).toEqual([1, 1, 64, 300, 64 * 6]);
  });

  test('is all of a text that is cut into chunks, with what they share', () => {
    expect(sizes([0, 64, 1000], 0)).toEqual([1, 64, 1000]);
    expect(sizes([64, 1000], 32)).toEqual([64, 2000]);
    expect(sizes([1000], 63)).toEqual([64_000]);
  });

  test('is bounded, as the chunks of a text are', () => {
    expect(sizes([1e6], 63)).toEqual([32_768 * 6]);
    expect(sizes([1000], 64)).toEqual([64_000]);
  });
});

test('a text costs its chunks, as far as its characters tell', () => {
  const texts = [0, 64, 384, 385, 1000].map((count) => 'x'.repeat(count));
  const counts = (stride: number) => texts.map((text) => chunkCountOf([text], 64, stride));
  expect(counts(0)).toEqual([1, 1, 1, 2, 3]);
  expect(counts(32)).toEqual([1, 1, 2, 3, 6]);
  expect(chunkCountOf(texts, 64, 0)).toBe(8);
  // No text runs in more than 512 chunks of 64 tokens: it would be refused.
  expect(chunkCountOf(['x'.repeat(1e6)], 64, 63)).toBe(512);
});
