import fc from 'fast-check';
import { expect, test } from 'vitest';
import { countOf, jsonSlices, objectSlices } from '../../../../src/http/calls/json-slices.js';

test('slices of any lists are together what JSON.stringify writes', () => {
  const lists = fc.array(fc.oneof(fc.jsonValue(), fc.array(fc.jsonValue())));
  fc.assert(
    fc.property(lists, (list) => {
      expect([...jsonSlices(list)].join('')).toBe(JSON.stringify(list));
      const object = [...objectSlices({ a: 1 }, 'results', list)].join('');
      expect(object).toBe(JSON.stringify({ a: 1, results: list }));
    }),
  );
});

test('a large list is written in many slices, also where it is one list in a list', () => {
  const many = Array.from({ length: 20_000 }, (_, index) => ({ index, word: 'word' }));
  for (const list of [many, [many]]) {
    const slices = [...jsonSlices(list)];
    expect(slices.join('')).toBe(JSON.stringify(list));
    for (const slice of slices) expect(slice.length).toBeLessThan(70_000);
    expect(countOf(list)).toBe(20_000);
  }
});
