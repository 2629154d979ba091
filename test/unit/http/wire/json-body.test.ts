import fastify from 'fastify';
import { expect, onTestFinished, test } from 'vitest';
import { jsonBody } from '../../../../src/http/wire/json-body.js';

type Outcome = { readonly value: unknown } | { readonly refused: string };

/** What both parsers make of a body, and whether the careful one had to be asked. */
async function parse(text: string) {
  const app = fastify();
  onTestFinished(() => app.close());
  const careful = app.getDefaultJsonParser('error', 'error');
  const outcomeOf = (parser: typeof careful): Outcome => {
    let outcome: Outcome = { refused: 'nothing was said' };
    void parser({} as never, text, (error, value) => {
      outcome = error === null ? { value } : { refused: error.message };
    });
    return outcome;
  };
  let asked = false;
  const ours = outcomeOf(
    jsonBody((request, body, done) => {
      asked = true;
      return careful(request, body, done);
    }),
  );
  return { ours, careful: outcomeOf(careful), asked };
}

test.each([
  '{"inputs":["a","b"],"model":"spam","top_k":2}',
  '{"inputs":"the words __proto__ and constructor: \\"__proto__\\": may be in a text"}',
  '["a",{"b":{"c":[1,null,true,{"prototype":1}]}}]',
  '"text"',
  '12',
  'null',
  `${'['.repeat(500)}${']'.repeat(500)}`,
])('a harmless body is parsed as by the default parser, without asking it: %.60s', async (text) => {
  const { ours, careful, asked } = await parse(text);
  expect(ours).toEqual(careful);
  expect(ours).toHaveProperty('value');
  expect(asked).toBe(false);
});

test.each([
  '{"__proto__":{"x":1}}',
  '{"\\u005f_proto__":{"x":1}}',
  '{"inputs":[{"a":{"__proto__":null}}]}',
  '{"constructor":{"prototype":{"x":1}}}',
  '{"c\\u006fnstructor":{"prototype":{"x":1}}}',
  '[[{"constructor":{"prototype":null}}]]',
  '{"inputs":',
  '',
  'undefined',
])('what the default parser refuses is refused in its words: %s', async (text) => {
  const { ours, careful } = await parse(text);
  expect(ours).toEqual(careful);
  expect(ours).toHaveProperty('refused');
});

test.each(['{"constructor":"a text"}', '{"constructor":{"a":1}}', '\uFEFF{"a":1}'])(
  'where the names alone do not tell the default parser decides: %s',
  async (text) => {
    const { ours, careful, asked } = await parse(text);
    expect(ours).toEqual(careful);
    expect(ours).toHaveProperty('value');
    expect(asked).toBe(true);
  },
);
