import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AnswerText } from '../../../../../src/http/doors/plimsoll/answer-text.js';
import { answerToWire } from '../../../../../src/http/wire.js';

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

test('an answer is written as JSON.stringify would write it', () => {
  const texts = new AnswerText();
  fc.assert(
    fc.property(answer, ms, (of, totalMs) => {
      const text = texts.of(of, totalMs);
      expect(text).toBe(JSON.stringify(answerToWire(of, totalMs)));
      expect(texts.of(of, totalMs)).toBe(text);
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
