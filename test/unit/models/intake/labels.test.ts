/** Which name each output has, for the forms that config.json has in the field. */
import { describe, expect, test } from 'vitest';
import { declaredLabels, labelsFor } from '../../../../src/models/intake/reading/labels.js';

const of = (config: Readonly<Record<string, unknown>>, width: number) =>
  labelsFor(declaredLabels(config), width);

describe('labels', () => {
  test('of negative numbers stand in the order of the numbers', () => {
    const id2label = { '-1': 'negative', '0': 'neutral', '1': 'positive' };
    expect(of({ id2label }, 3)).toEqual(['negative', 'neutral', 'positive']);
    expect(of({ id2label }, 2)).toMatchObject({ problem: expect.stringMatching(/2 outputs/) });
  });

  test('of numbers as floating point', () => {
    expect(of({ id2label: { '0.0': 'a', '1.0': 'b' } }, 2)).toEqual(['a', 'b']);
  });

  test('whose names and numbers have changed places', () => {
    expect(of({ id2label: { a: 1, b: 0 } }, 2)).toEqual(['b', 'a']);
  });

  test.each([
    [{ zero: 'a', one: 'b' }, /"zero"/],
    [{ '0': 'a', one: 'b' }, /"one"/],
    [{ '1': 'a', '1.0': 'b' }, /"1\.0"/],
  ])('of keys that tell no output are none: %j', (id2label, says) => {
    expect(declaredLabels({ id2label }).problem).toMatch(says);
  });

  test('of an older label2id do not count', () => {
    const id2label = { '0': 'ham', '1': 'spam' };
    const label2id = { ham: 0, spam: 1, other: 2, more: 7 };
    expect(of({ id2label, label2id }, 2)).toEqual(['ham', 'spam']);
    // Holes are named by it as before.
    expect(of({ id2label: { '0': 'ham', '1': null }, label2id }, 2)).toEqual(['ham', 'spam']);
    expect(of({ label2id }, 2)).toHaveProperty('problem');
  });
});
