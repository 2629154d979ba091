import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { piecesOf } from '../../../web/data/marked-text.js';

describe('a text with its entities', () => {
  test('is divided at code points: an emoji counts as one, a combining mark too', () => {
    const text = '👩‍🚀 Zoë lives in 東京 😀.';
    const points = Array.from(text);
    const place = (word: string) => {
      const start = Array.from(text.slice(0, text.indexOf(word))).length;
      return { start, end: start + Array.from(word).length, label: word };
    };
    const entities = [place('東京'), place('Zoë')];
    const marked = piecesOf(text, entities).filter(({ entity }) => entity !== undefined);
    expect(marked.map(({ text: part }) => part)).toEqual(['Zoë', '東京']);
    expect(marked.map(({ entity }) => entity?.label)).toEqual(['Zoë', '東京']);
    expect(points.length).toBeLessThan(text.length);
  });

  test('loses and repeats nothing, whatever the places', () => {
    const places = fc.array(fc.record({ start: fc.nat(30), length: fc.nat(10) }));
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 30 }), places, (text, all) => {
        const entities = all.map(({ start, length }) => ({ start, end: start + length }));
        const pieces = piecesOf(text, entities);
        expect(pieces.map(({ text: part }) => part).join('')).toBe(text);
        expect(pieces.filter(({ entity }) => entity !== undefined)).toHaveLength(entities.length);
      }),
    );
  });
});
