import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hasLongMarkRun } from '../../../../src/models/run/text-guard.js';

const marks = (count: number) => '\u0316\u0301'.repeat(count / 2);

describe('the guard of the lean tokenizer', () => {
  test.each([
    ['no text', ''],
    ['a text', 'plain text '.repeat(100)],
    ['accents, written apart', 'e\u0301a\u0308o\u0302'.repeat(100)],
    ['Hebrew with points and accents', 'בְּרֵאשִׁ֖ית בָּרָ֣א אֱלֹהִ֑ים '.repeat(40)],
    ['Tibetan stacks', 'རྐྱེན་བསྒྲུབས་'.repeat(40)],
    ['what Unicode calls stream-safe', `a${marks(30)}`.repeat(100)],
    ['letters with as many marks as may be', `a${marks(128)}`.repeat(10)],
    ['emoji with modifiers and variation selectors', '👩🏽‍🚒❤️‍🔥🏳️‍🌈'.repeat(40)],
  ])('lets %s through', (_, text) => {
    expect(hasLongMarkRun(text)).toBe(false);
  });

  test.each([
    ['behind a letter', `before a${marks(130)} after`],
    ['at the beginning', marks(130)],
    ['of characters that take two code units', `a${'\u{1D165}'.repeat(129)}b`],
    ['very many', `a${marks(1_000_000)}`],
  ])('stops a run of marks that no writing has: %s', (_, text) => {
    expect(hasLongMarkRun(text)).toBe(true);
  });

  test('stops nothing without such a run', () => {
    const unit = fc.constantFrom('a', ' ', '\u0301', '\u0316', '漢', '👍', '\ud800');
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 128 }), (units) => {
        expect(hasLongMarkRun(units.join(''))).toBe(false);
      }),
    );
  });
});
