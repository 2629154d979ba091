import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { withoutLongMarkRuns } from '../../../../src/models/run/text-guard.js';

const marks = (count: number) => '\u0316\u0301'.repeat(count / 2);

describe('the guard of the tokenizer', () => {
  test.each([
    ['no text', ''],
    ['a text', 'plain text '.repeat(100)],
    ['accents, written apart', 'e\u0301a\u0308o\u0302'.repeat(100)],
    ['Hebrew with points and accents', 'בְּרֵאשִׁ֖ית בָּרָ֣א אֱלֹהִ֑ים '.repeat(40)],
    ['Tibetan stacks', 'རྐྱེན་བསྒྲུབས་'.repeat(40)],
    ['what Unicode calls stream-safe', `a${marks(30)}`.repeat(100)],
    ['letters with as many marks as are kept', `a${marks(128)}`.repeat(10)],
    ['emoji with modifiers and variation selectors', '👩🏽‍🚒❤️‍🔥🏳️‍🌈'.repeat(40)],
  ])('leaves %s as it is', (_, text) => {
    expect(withoutLongMarkRuns(text)).toBe(text);
  });

  test('cuts a run of marks that no writing has, and leaves what stands around it', () => {
    const text = `before a${marks(4000)} between e${marks(500)}\nafter`;
    const cut = `before a${marks(128)} between e${marks(128)}\nafter`;
    expect(withoutLongMarkRuns(text)).toBe(cut);
  });

  test('keeps normalisation in proportion to the text', () => {
    const text = withoutLongMarkRuns(`a${marks(1_000_000)}`);
    expect(text).toHaveLength(129);
    expect(text.normalize('NFD')).toHaveLength(129);
  });

  test('never splits a character that takes two code units', () => {
    const musical = '\u{1D165}';
    const text = withoutLongMarkRuns(`a${musical.repeat(500)}b`);
    expect(text).toBe(`a${musical.repeat(128)}b`);
  });

  test('leaves every text without such a run alone', () => {
    const unit = fc.constantFrom('a', ' ', '\u0301', '\u0316', '漢', '👍', '\ud800');
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 128 }), (units) => {
        const text = units.join('');
        expect(withoutLongMarkRuns(text)).toBe(text);
      }),
    );
  });
});
