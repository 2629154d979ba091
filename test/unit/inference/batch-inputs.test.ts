import { describe, expect, test } from 'vitest';
import { sizesOf } from '../../../src/inference/batch-inputs.js';

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
