import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { TextEncoder } from '../../../../src/models/run/tokenizer.js';
import { usualFiles } from '../../../../src/models/run/tokens/open-tokenizer.js';
import {
  boundOf,
  LONGEST_LEAN_RUN,
  measureRunBound,
} from '../../../../src/models/run/tokens/run-bound.js';

const MODELS = fileURLToPath(new URL('../../../fixtures/models', import.meta.url));

describe('the longest run that the lean tokenizer is given', () => {
  test.each([
    ['all are quick', [1, 1, 1, 1, 1], LONGEST_LEAN_RUN],
    ['the last is too slow, by the square of its length', [1, 1, 1, 4, 40], 2048],
    ['between two lengths', [1, 1, 8, 14.4], 1706],
    ['even the first is too slow', [1000], 256],
    ['it throws', [1, 1, Number.POSITIVE_INFINITY], 512],
  ])('%s', (_name, times, bound) => {
    expect(boundOf(times, 10)).toBe(bound);
  });

  test('is found by running the tokenizer, whatever its kind', () => {
    const given: string[] = [];
    expect(measureRunBound((text) => given.push(text))).toBe(LONGEST_LEAN_RUN);
    expect(given.every((text) => !/\s/.test(text))).toBe(true);
    const throws = (text: string) => {
      if (text.length > 1000) throw new RangeError('Maximum call stack size exceeded');
    };
    expect(measureRunBound(throws)).toBe(512);
  });
});

test.each(readdirSync(MODELS).filter((name) => /^tok-.*(unigram|bytelevel)/.test(name)))(
  '%s: the same tokens on either side of the bound',
  async (name) => {
    const files = usualFiles(path.join(MODELS, name));
    const bounded = await TextEncoder.open(files, 4000, { kind: 'javascript', longestRun: 300 });
    const native = await TextEncoder.open(files, 4000, { kind: 'native' });
    for (const letter of ['a', '\u{a4d0}', '中']) {
      for (const length of [299, 300, 301, 900]) {
        const text = `hello ${letter.repeat(length)} world`;
        // The lean one refuses what is not its own: that the bound is heeded shows there.
        const isLean = length <= 300;
        if (isLean) expect(() => bounded.encode(text)).not.toThrow();
        else expect(() => bounded.encode(text)).toThrow(/native/);
        expect(await bounded.encodeAll([text])).toEqual(await native.encodeAll([text]));
      }
    }
  },
);
