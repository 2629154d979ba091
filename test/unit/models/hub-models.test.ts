import { expect, test } from 'vitest';
import { namedModels } from '../../../src/models/hub-models.js';

test('names divided by commas, each once', () => {
  expect(namedModels('')).toEqual([]);
  expect(namedModels(' org/a, b@v1 ,org/a')).toEqual(['org/a', 'b@v1']);
});

test.each([
  ['../x', /hub\.models: .*write it as org\/name/],
  ['org/a@v1,org/a@v2', /org\/a@v1 and org\/a@v2 have one name.*one revision/],
  ['org/a,org/a@main', /one revision/],
])('%s is refused', (setting, reason) => {
  expect(() => namedModels(setting)).toThrow(reason);
});
