import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, expectTypeOf, test } from 'vitest';
import {
  choice,
  closed,
  flag,
  integer,
  list,
  nullable,
  number,
  object,
  oneOf,
  optional,
  type Static,
  text,
  tuple,
} from '../../../../src/contract/schema/schema.js';

const ajv = new Ajv2020({ allowUnionTypes: true });
const takes = (schema: object, value: unknown) => ajv.validate(schema, value);

const schema = object(
  {
    name: text('Who it is.'),
    kind: choice(['a', 'b']),
    size: nullable(integer({ minimum: 0 })),
    from: oneOf([false, 'memory']),
    pairs: list(tuple(number(), 2)),
    inner: nullable(object({ on: flag() }), 'null: nothing inside.'),
    note: optional(text()),
    level: nullable(choice(['low', 'high'])),
  },
  'An example.',
);

const example = {
  name: 'n',
  kind: 'a',
  size: null,
  from: false,
  pairs: [[1, 2.5]],
  inner: { on: true },
  level: null,
} as const satisfies Static<typeof schema>;

describe('a definition', () => {
  test('is a plain JSON schema', () => {
    expect(schema).toEqual({
      type: 'object',
      description: 'An example.',
      properties: {
        name: { type: 'string', description: 'Who it is.' },
        kind: { type: 'string', enum: ['a', 'b'] },
        size: { type: ['integer', 'null'], minimum: 0 },
        from: { enum: [false, 'memory'] },
        pairs: {
          type: 'array',
          items: { type: 'array', items: { type: 'number' }, minItems: 2, maxItems: 2 },
        },
        inner: {
          type: ['object', 'null'],
          description: 'null: nothing inside.',
          properties: { on: { type: 'boolean' } },
          required: ['on'],
        },
        note: { type: 'string' },
        level: { type: ['string', 'null'], enum: ['low', 'high', null] },
      },
      required: ['name', 'kind', 'size', 'from', 'pairs', 'inner', 'level'],
    });
  });

  test('takes what its type takes', () => {
    expect(takes(schema, example)).toBe(true);
    expect(takes(schema, { ...example, note: 'x', size: 3, level: 'low', inner: null })).toBe(true);
  });

  test.each([
    ['a missing property', { ...example, name: undefined }],
    ['another type', { ...example, name: 5 }],
    ['a value that is not listed', { ...example, kind: 'c' }],
    ['null where there is none', { ...example, kind: null }],
    ['a list of another length', { ...example, pairs: [[1]] }],
    ['another literal', { ...example, from: true }],
    ['a number with a fraction', { ...example, size: 1.5 }],
    ['a property of an inner object', { ...example, inner: {} }],
  ])('refuses %s', (_, value) => {
    expect(takes(schema, JSON.parse(JSON.stringify(value)))).toBe(false);
  });

  test('has the type of what it describes', () => {
    expectTypeOf<Static<typeof schema>>().toEqualTypeOf<{
      readonly name: string;
      readonly kind: 'a' | 'b';
      readonly size: number | null;
      readonly from: false | 'memory';
      readonly pairs: readonly (readonly [number, number])[];
      readonly inner: { readonly on: boolean } | null;
      readonly note?: string;
      readonly level: 'low' | 'high' | null;
    }>();
  });
});

test('further properties are left alone in what is open, and refused in what is closed', () => {
  expect(takes(object({ a: text() }), { a: 'x', b: 1 })).toBe(true);
  expect(takes(closed({ a: text() }), { a: 'x', b: 1 })).toBe(false);
  expect(takes(nullable(closed({ a: optional(text()) })), null)).toBe(true);
});
