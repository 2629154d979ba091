import zlib from 'node:zlib';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Columns, OutputColumn, OutputOptions } from '../../../../src/jobs/formats/format.js';
import { encode } from '../../../../src/jobs/formats/formats.js';
import { assertCanWrite } from '../../../../src/jobs/formats/writing/can-write.js';
import { all, Bench, temporaryFolder, valuesOf } from '../reading.js';

const bench = new Bench(await temporaryFolder());
const canZstd = 'zstdCompressSync' in zlib;
const COMPRESSIONS = ['none', 'gzip', ...(canZstd ? (['zstd'] as const) : [])] as const;
const COLUMNS: readonly OutputColumn[] = [
  { name: 'id', type: 'text' },
  { name: 'score', type: 'number' },
  { name: 'scores', type: 'json' },
];

async function encoded(rows: readonly Columns[], options: Partial<OutputOptions>) {
  const slices = (async function* () {
    for (let at = 0; at < rows.length; at += 7) yield rows.slice(at, at + 7);
  })();
  const output = { format: 'jsonl', compression: 'none', columns: COLUMNS, ...options } as const;
  return Buffer.concat(await all(encode(slices, output)));
}

describe.each(COMPRESSIONS)('packed %s', (compression) => {
  test.each(['jsonl', 'csv'] as const)('%s: what is written is read again', async (format) => {
    const row = fc.record({
      id: fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r\n', '=', 'ß', ';', ' ') }),
      score: fc.double({ noNaN: true, noDefaultInfinity: true, min: 0, max: 1 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1 }), async (rows) => {
        const bytes = await encoded(rows, { format, compression });
        const options = { format, compression, ...(format === 'csv' ? { delimiter: ',' } : {}) };
        const file = await bench.file(bytes);
        const shards = await bench.plan(file, options, 10);
        const expected =
          format === 'jsonl'
            ? rows.map(({ id, score }) => ({ id, score: score === 0 ? 0 : score }))
            : rows.map(({ id, score }) => ({ id, score: String(score), scores: '' }));
        expect(valuesOf(await bench.rows(file, options, shards))).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });

  test.each(['jsonl', 'csv', 'parquet'] as const)(
    '%s: the same rows give the same bytes',
    async (format) => {
      const rows = Array.from({ length: 1000 }, (_, n) => ({ id: `row ${n}`, score: n / 7 }));
      const first = await encoded(rows, { format, compression });
      expect(first.equals(await encoded(rows, { format, compression }))).toBe(true);
    },
  );
});

test('columns come in their order, whoever put the row together; lists and objects are kept', async () => {
  const rows = [{ scores: [{ label: 'spam' }], score: 0.5, id: 'a', other: 1 }];
  expect((await encoded(rows, {})).toString()).toBe(
    '{"id":"a","score":0.5,"scores":[{"label":"spam"}]}\n',
  );
  expect((await encoded(rows, { format: 'csv' })).toString()).toBe(
    'id,score,scores\na,0.5,"[{""label"":""spam""}]"\n',
  );
});

test('CSV: fields are as they are, and another reader sees the same', async () => {
  const rows = ['=1+1', '@x', '-1', '+1', '', 'a\r\nb', '"'].map((id) => ({ id }));
  const bytes = await encoded(rows, { format: 'csv', columns: [{ name: 'id', type: 'text' }] });
  expect(parse(bytes, { columns: true })).toEqual(rows);
});

test('no rows: CSV has its header, JSONL nothing', async () => {
  expect((await encoded([], { format: 'csv' })).toString()).toBe('id,score,scores\n');
  expect((await encoded([], {})).length).toBe(0);
});

test('zstd is written where this Node.js can, else refused before the job begins', () => {
  if (canZstd) expect(() => assertCanWrite('zstd')).not.toThrow();
  else expect(() => assertCanWrite('zstd')).toThrow('need Node.js 22.15 or newer');
  expect(() => assertCanWrite('gzip')).not.toThrow();
});
