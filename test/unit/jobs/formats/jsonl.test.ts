import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ShardRange } from '../../../../src/jobs/formats/format.js';
import { Bench, temporaryFolder, valuesOf } from '../reading.js';

const OPTIONS = { format: 'jsonl', compression: 'none' } as const;
const bench = new Bench(await temporaryFolder());

async function rowsOf(content: string | Uint8Array, ranges?: readonly ShardRange[]) {
  return bench.rows(await bench.file(content), OPTIONS, ranges);
}

describe('JSONL', () => {
  test('rows, with blank lines, CRLF, a mark, and no end of the last line', async () => {
    const rows = await rowsOf('\ufeff{"a":1}\r\n\n  \n{"a":"ä"}\n{"a":null}');
    expect(rows.flat()).toEqual([
      { at: 0, columns: { a: 1 } },
      { at: 1, columns: { a: 'ä' } },
      { at: 2, columns: { a: null } },
    ]);
  });

  test('bad rows are told with their place, and without their text', async () => {
    const lines = Buffer.from('{"a":1}\n{"secret\n[1]\n"x"\n');
    const rows = await rowsOf(Buffer.concat([lines, Buffer.from([0x22, 0xff, 0x22, 0x0a])]));
    expect(valuesOf(rows)).toEqual([
      { a: 1 },
      'byte 8: the line is not JSON: it ends too early',
      'byte 17: the line is a list, not an object of columns',
      'byte 21: the line is a text, not an object of columns',
      'byte 25: the line is not UTF-8',
    ]);
    const secret = valuesOf(await rowsOf('{"a": secret}\n{"a": "se\tcret"}\nsecret'));
    for (const reason of secret) expect(reason).toMatch(/^byte \d+: the line is not JSON/);
    expect(secret.join()).not.toContain('cret');
  });

  test('a line beyond the bound, and one that is nested too deep, are bad rows; the next ones are read', async () => {
    const deep = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    const rows = valuesOf(
      await rowsOf(`{"a":"${'x'.repeat(17 * 1024 * 1024)}"}\n${deep}\n{"a":1}`),
    );
    expect(rows).toEqual([
      'byte 0: the row is longer than 16 MB',
      expect.stringContaining('a column has more than 200 levels'),
      { a: 1 },
    ]);
  });

  test('numbers that a double cannot hold stay as they are, as texts', async () => {
    const rows = await rowsOf('{"id":1234567890123456789,"t":"\\"1234567890123456789","f":1.25e3}');
    expect(valuesOf(rows)).toEqual([
      { id: '1234567890123456789', t: '"1234567890123456789', f: 1250 },
    ]);
  });

  test('only the columns that are asked for', async () => {
    const file = await bench.file('{"a":1,"b":2,"c":3}\n{"b":1}');
    const rows = await bench.rows(file, { ...OPTIONS, columns: ['a', 'c'] });
    expect(valuesOf(rows)).toEqual([{ a: 1, c: 3 }, {}]);
  });

  test.each([
    ['one JSON list', '[\n  {"a": 1},\n  {"a": 2}\n]', /one JSON list.*jq -c/],
    ['objects over several lines', '{\n  "a": 1\n}\n{\n  "a": 2\n}', /several lines.*jq -c/],
    ['UTF-16', Buffer.from('\ufeff{"a":1}', 'utf16le'), /UTF-16.*iconv/],
    ['gzip', Buffer.from([0x1f, 0x8b, 8, 0]), /gzip.*\.gz/],
    ['Parquet', Buffer.from('PAR1....'), /is Parquet/],
  ])('%s is refused with the remedy', async (_what, content, reason) => {
    const file = await bench.file(content);
    await expect(bench.plan(file, OPTIONS, 100)).rejects.toThrow(reason);
  });

  test('an empty file has no shards', async () => {
    expect(await bench.plan(await bench.file(''), OPTIONS, 100)).toEqual([]);
  });

  test('any rows, cut anywhere, are there once each', async () => {
    const line = fc.oneof(
      fc.string({ unit: 'grapheme' }).map((text) => JSON.stringify({ text })),
      fc.constantFrom('', ' ', '{broken', 'null'),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { maxLength: 40 }),
        fc.constantFrom('\n', '\r\n'),
        fc.boolean(),
        fc.array(fc.nat(2000), { maxLength: 8 }),
        async (lines, ending, isEnded, cuts) => {
          const content = lines.join(ending) + (isEnded ? ending : '');
          const bytes = Buffer.byteLength(content);
          const at = [0, ...cuts.map((cut) => cut % (bytes + 1)), bytes].sort((a, b) => a - b);
          const ranges = at
            .slice(1)
            .map((end, index) => ({ unit: 'bytes', start: at[index] ?? 0, end }) as const);
          const [whole, parts] = [await rowsOf(content), await rowsOf(content, ranges)];
          expect(valuesOf(parts)).toEqual(valuesOf(whole));
          expect(whole.flat().length).toBe(lines.filter((each) => each.trim() !== '').length);
        },
      ),
      { numRuns: 100 },
    );
  });

  test('shards have about as many rows as asked, wherever the long ones are', async () => {
    const lines = Array.from({ length: 30_000 }, (_, n) =>
      JSON.stringify({ n, text: 'x'.repeat(n < 15_000 ? 10 : 200) }),
    );
    const file = await bench.file(lines.join('\n'));
    const ranges = await bench.plan(file, OPTIONS, 1000);
    expect(ranges.length).toBeGreaterThan(15);
    expect(ranges.length).toBeLessThan(60);
    const rows = valuesOf(await bench.rows(file, OPTIONS, ranges));
    expect(rows.map((row) => (typeof row === 'string' ? row : row.n))).toEqual(
      lines.map((_, n) => n),
    );
  });
});
