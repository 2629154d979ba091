/** Times as callers write them. */
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { timeOf } from '../../../../src/contract/schema/lists.js';

/** The format as the server's own validator has it. */
const load = createRequire(createRequire(import.meta.url).resolve('@fastify/ajv-compiler'));
const { fullFormats } = load('ajv-formats/dist/formats') as {
  readonly fullFormats: { readonly 'date-time': { validate(text: string): boolean } };
};
const isDateTime = (text: string) => fullFormats['date-time'].validate(text);

describe('a time', () => {
  test.each([
    ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00.000Z'],
    ['2016-12-31T23:59:60.5Z', '2017-01-01T00:00:00.500Z'],
    ['2016-12-31T15:59:60-08:00', '2017-01-01T00:00:00.000Z'],
    ['2017-01-01T05:29:60+05:30', '2017-01-01T00:00:00.000Z'],
    ['2026-02-03t04:05:06z', '2026-02-03T04:05:06.000Z'],
    ['2026-02-03 04:05:06Z', '2026-02-03T04:05:06.000Z'],
    ['2026-02-03T04:05:06+01', '2026-02-03T03:05:06.000Z'],
    ['2026-02-03T04:05:06-0130', '2026-02-03T05:35:06.000Z'],
    ['2026-02-03T04:05:06-00:30', '2026-02-03T04:35:06.000Z'],
    ['2026-02-03T04:05:06.123456789Z', '2026-02-03T04:05:06.123Z'],
    ['0000-01-01T00:00:00+00:00', '0000-01-01T00:00:00.000Z'],
  ])('%s is read', (written, meant) => {
    expect(isDateTime(written)).toBe(true);
    expect(new Date(timeOf(written) ?? Number.NaN).toISOString()).toBe(meant);
  });

  const two = (least: number, most: number) =>
    fc.integer({ min: least, max: most }).map((n) => String(n).padStart(2, '0'));
  const date = fc
    .date({ min: new Date('0000-01-01T00:00:00Z'), max: new Date('9999-12-31T00:00:00Z') })
    .filter((at) => Number.isFinite(at.getTime()))
    .map((at) => at.toISOString().slice(0, 10));
  const offset = fc.oneof(
    fc.constantFrom('Z', 'z'),
    fc
      .tuple(fc.constantFrom('+', '-'), two(0, 24), fc.constantFrom('', ':'), two(0, 60))
      .map((parts) => parts.join('')),
    fc.tuple(fc.constantFrom('+', '-'), two(0, 24)).map((parts) => parts.join('')),
  );
  const separator = fc.constantFrom('T', 't', ' ', '\t', '\n', '\u00a0');
  const fraction = fc.constantFrom('', '.0', '.5', '.999999999999999999999');
  const written = fc
    .tuple(
      date,
      separator,
      two(0, 25),
      two(0, 61),
      fc.oneof(two(0, 61), fc.constant('60')),
      fraction,
      offset,
    )
    .map(([day, between, h, m, s, part, zone]) => `${day}${between}${h}:${m}:${s}${part}${zone}`);

  test('that the schema accepts is a number, and the one that Date.parse gives where it knows it', () => {
    let accepted = 0;
    fc.assert(
      fc.property(written, (text) => {
        if (!isDateTime(text)) return;
        accepted += 1;
        const at = timeOf(text);
        expect(at).toSatisfy(Number.isFinite);
        const usual = Date.parse(text.replace(/\s|t/, 'T').replace('z', 'Z'));
        // It rounds what is beyond milliseconds down, as this does; hours alone it does not know.
        if (Number.isFinite(usual) && /(Z|:\d\d)$/i.test(text)) {
          expect(Math.abs((at ?? 0) - usual)).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 20_000 },
    );
    expect(accepted).toBeGreaterThan(5000);
  });
});
