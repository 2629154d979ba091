import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  OVERRIDES_SCHEMA,
  readOverrides,
} from '../../../../src/models/intake/reading/overrides.js';

const accepts = new Ajv({ strict: false }).compile(OVERRIDES_SCHEMA);

function isRead(file: Readonly<Record<string, unknown>>): boolean {
  try {
    readOverrides(file);
    return true;
  } catch {
    return false;
  }
}

test('every field is read', () => {
  expect(
    readOverrides({
      ...{ labels: ['a', 'b'], function: 'none', thresholds: { a: 0.5 }, max_tokens: 99 },
      ...{ dtype: 'q8', alias: 'other' },
      moderations: { a: { categories: ['hate'], from: 0.5 } },
    }),
  ).toEqual({
    ...{ labels: ['a', 'b'], function: 'none', thresholds: { a: 0.5 }, maxTokens: 99 },
    ...{ dtype: 'q8', alias: ['other'] },
    moderations: { a: { categories: ['hate'], from: 0.5 } },
  });
});

describe('is refused by name', () => {
  test.each([
    [{ lables: [] }, /unknown field "lables"; known are .*labels/],
    [{ labels: [] }, /"labels" must be a list/],
    [{ labels: ['a', 1] }, /"labels"/],
    [{ function: 'tanh' }, /"function" must be one of softmax, sigmoid, none/],
    [{ thresholds: { a: '0.5' } }, /"thresholds"/],
    [{ max_tokens: 3 }, /"max_tokens" must be a whole number from 4/],
    [{ dtype: 'int8' }, /"dtype"/],
    [{ moderations: { a: { categories: [] } } }, /"moderations\.a/],
  ])('%j', (file, message) => {
    expect(() => readOverrides(file)).toThrow(message);
  });
});

test('what is read is what the schema says', () => {
  const value = fc.oneof(
    fc.constantFrom<unknown>('softmax', 'q8', 'x', '', 4, 3, 0.5, null, true, [], ['a'], ['a', 1]),
    fc.dictionary(
      fc.string({ maxLength: 3 }),
      fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.string()),
    ),
    fc.constant({ a: { categories: ['x'], from: 1 } }),
    fc.constant({ a: { categories: ['x'], from: 1, more: 1 } }),
  );
  const key = fc.constantFrom(...Object.keys(OVERRIDES_SCHEMA.properties), 'other');
  fc.assert(
    fc.property(fc.dictionary(key, value, { maxKeys: 3 }), (file) => {
      expect(isRead(file), JSON.stringify(file)).toBe(accepts(file));
    }),
    { numRuns: 500 },
  );
});

test('the published schema is this one', () => {
  const file = new URL('../../../../docs/plimsoll.schema.json', import.meta.url);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(
    JSON.parse(JSON.stringify(OVERRIDES_SCHEMA)),
  );
});
