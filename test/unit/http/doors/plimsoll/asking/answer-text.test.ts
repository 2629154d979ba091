import { Ajv } from 'ajv';
import fc from 'fast-check';
import fastify from 'fastify';
import { afterAll, expect, test } from 'vitest';
import { type Answer, answerSchema } from '../../../../../../src/contract/classify.js';
import { toMs } from '../../../../../../src/contract/units.js';
import { AnswerText } from '../../../../../../src/http/doors/plimsoll/asking/answer-text.js';
import type { SessionAnswer } from '../../../../../../src/sessions/service.js';

const name = fc.string({ unit: 'binary' });
const ms = fc.double({ min: 0, max: 1e6, noNaN: true });
const score = fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(0, 1, 1e-7));
const answer = fc.record({
  ...{ model: name, session: name, user: name },
  results: fc.array(fc.array(fc.record({ label: name, score }), { maxLength: 4 }), {
    maxLength: 4,
  }),
  truncated: fc.array(fc.boolean(), { maxLength: 4 }),
  cached: fc.array(fc.constantFrom(false as const, 'memory' as const, 'redis' as const), {
    maxLength: 4,
  }),
  inputHashes: fc.constant([]),
  timing: fc.record({ queueMs: ms, tokenizeMs: ms, runMs: ms }),
});

/** The answer as an object, for a serializer that works by the schema. */
function shown({ inputHashes: _, timing, ...same }: SessionAnswer, totalMs: number): Answer {
  return {
    ...same,
    timing: {
      queue_ms: toMs(timing.queueMs),
      tokenize_ms: toMs(timing.tokenizeMs),
      run_ms: toMs(timing.runMs),
      total_ms: toMs(totalMs),
    },
  };
}

let next: Answer;
const app = fastify();
app.get('/', { schema: { response: { 200: answerSchema } } }, async () => next);
afterAll(() => app.close());

test('an answer is written as fastify writes it by the schema', async () => {
  const texts = new AnswerText();
  await fc.assert(
    fc.asyncProperty(answer, ms, async (of, totalMs) => {
      const text = texts.of(of, totalMs);
      next = shown(of, totalMs);
      // Parsed: the two may write a character in different ways, and lone surrogates not at all over HTTP.
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(next)));
      expect(texts.of(of, totalMs)).toBe(text);
      const { payload } = await app.inject('/');
      expect(payload).toBe(Buffer.from(text).toString());
    }),
  );
});

test('the slices of an answer are its text, in pieces of bounded length', () => {
  const texts = new AnswerText();
  const one = { label: 'a label of some length', score: 0.5 };
  const large = {
    ...{ model: 'm', session: 's', user: 'u', inputHashes: [] },
    results: Array.from({ length: 2000 }, () => Array.from({ length: 10 }, () => one)),
    truncated: Array.from({ length: 2000 }, () => false),
    cached: Array.from({ length: 2000 }, () => false as const),
    timing: { queueMs: 1, tokenizeMs: 2, runMs: 3 },
  };
  const slices = [...texts.slices(large, 4)];
  expect(slices.length).toBeGreaterThan(10);
  expect(Math.max(...slices.map(({ length }) => length))).toBeLessThan(80_000);
  expect(slices.join('')).toBe(texts.of(large, 4));
  fc.assert(
    fc.property(answer, ms, (of, totalMs) => {
      expect([...texts.slices(of, totalMs)].join('')).toBe(texts.of(of, totalMs));
    }),
  );
});

test('an answer has nothing but what the schema names, and all of it', () => {
  const texts = new AnswerText();
  const { properties, ...schema } = answerSchema as { readonly properties: object };
  const validate = new Ajv().compile({ ...schema, properties, additionalProperties: false });
  fc.assert(
    fc.property(answer, ms, (of, totalMs) => {
      validate(JSON.parse(texts.of(of, totalMs)));
      expect(validate.errors).toBeNull();
    }),
  );
});

test('more names than are remembered are written all the same', () => {
  const texts = new AnswerText();
  const of = { results: [], truncated: [], cached: [], inputHashes: [], session: 's', user: 'u' };
  const timing = { queueMs: 0, tokenizeMs: 0, runMs: 0 };
  for (let n = 0; n < 2000; n += 1) {
    const text = texts.of({ ...of, timing, model: `"${n % 700}"` }, 1);
    expect(JSON.parse(text)).toMatchObject({ model: `"${n % 700}"` });
  }
});
