import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Columns, OutputColumn, OutputOptions } from '../../../../src/jobs/formats/format.js';
import { encode } from '../../../../src/jobs/formats/formats.js';
import { parquetShards } from '../../../../src/jobs/formats/parquet/parquet-shards.js';
import { all, Bench, temporaryFolder, valuesOf } from '../reading.js';

const OPTIONS = { format: 'parquet', compression: 'none' } as const;
const WHOLE = [{ unit: 'rows', start: 0 }] as const;
const bench = new Bench(await temporaryFolder());

const COLUMNS: readonly OutputColumn[] = [
  { name: 'text', type: 'text' },
  { name: 'n', type: 'integer' },
  { name: 'x', type: 'number' },
  { name: 'yes', type: 'flag' },
  { name: 'scores', type: 'json' },
];

async function encoded(rows: readonly Columns[], options: Partial<OutputOptions> = {}) {
  const slices = (async function* () {
    for (let at = 0; at < rows.length; at += 7) yield rows.slice(at, at + 7);
  })();
  const output = { ...OPTIONS, columns: COLUMNS, ...options };
  return Buffer.concat(await all(encode(slices, output)));
}

describe('shards of Parquet', () => {
  test('large row groups are cut, small ones follow one another', () => {
    expect([...parquetShards([10, 20, 70], 50)].map(({ start, end }) => [start, end])).toEqual([
      [0, 30],
      [30, 65],
      [65, 100],
    ]);
  });

  test('any row groups: every row is in one shard, and none has more rows than asked', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(500)), fc.integer({ min: 1, max: 300 }), (groups, shardRows) => {
        const total = groups.reduce((sum, each) => sum + each, 0);
        let at = 0;
        for (const { start, end = 0 } of parquetShards(groups, shardRows)) {
          expect(start).toBe(at);
          expect(end - start).toBeGreaterThan(0);
          expect(end - start).toBeLessThanOrEqual(shardRows);
          at = end;
        }
        expect(at).toBe(total);
      }),
    );
  });
});

describe('Parquet', () => {
  test.each(['none', 'gzip'] as const)(
    'packed %s: what is written is read again',
    async (compression) => {
      const value = fc.record({
        text: fc.option(fc.string({ unit: 'grapheme' })),
        n: fc.option(fc.maxSafeInteger()),
        x: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })),
        yes: fc.option(fc.boolean()),
      });
      await fc.assert(
        fc.asyncProperty(
          fc.array(value),
          fc.integer({ min: 1, max: 9 }),
          async (rows, shardRows) => {
            const file = await bench.file(await encoded(rows, { compression }));
            const shards = await bench.plan(file, OPTIONS, shardRows);
            const read = valuesOf(await bench.rows(file, OPTIONS, shards));
            expect(read).toEqual(rows.map((row) => ({ ...row, scores: null })));
          },
        ),
        { numRuns: 60 },
      );
    },
  );

  test('the same rows give the same bytes, and lists and objects are JSON text', async () => {
    const rows = [
      { text: 'a', scores: [{ label: 'spam', score: 0.5 }] },
      { text: 'b', scores: null },
    ];
    const bytes = await encoded(rows);
    expect(bytes.equals(await encoded(rows))).toBe(true);
    const read = valuesOf(await bench.rows(await bench.file(bytes), OPTIONS, WHOLE));
    expect(read).toMatchObject([{ scores: '[{"label":"spam","score":0.5}]' }, { scores: null }]);
  });

  test('a column of other values than was said is one of texts; later it is refused', async () => {
    const mixed = await encoded([{ n: 1 }, { n: 'two' }]);
    const read = valuesOf(await bench.rows(await bench.file(mixed), OPTIONS, WHOLE));
    expect(read).toMatchObject([{ n: '1' }, { n: 'two' }]);
    const late = [...Array.from({ length: 50_000 }, (_, n) => ({ n })), { n: 'two' }];
    await expect(encoded(late)).rejects.toThrow('the column "n" holds strings');
  });

  test('only the columns that are asked for are read; a missing one is refused', async () => {
    const file = await bench.file(await encoded([{ text: 'a', n: 1 }]));
    const read = await bench.rows(file, { ...OPTIONS, columns: ['text'] }, WHOLE);
    expect(valuesOf(read)).toEqual([{ text: 'a' }]);
    await expect(bench.plan(file, { ...OPTIONS, columns: ['body'] }, 10)).rejects.toThrow(
      'has no column "body"; it has text, n, x, yes, scores',
    );
  });

  test.each([
    ['nothing', Buffer.alloc(0), 'too short'],
    ['another format', Buffer.from('{"a":1}\n'.repeat(10)), 'is no Parquet'],
    [
      'a footer that says too much',
      Buffer.from('PAR1........\xff\xff\xff\x7fPAR1', 'latin1'),
      'more than 32 MB',
    ],
  ])('%s is refused', async (_what, content, reason) => {
    await expect(bench.plan(await bench.file(content), OPTIONS, 10)).rejects.toThrow(reason);
  });

  test('whatever is broken in a file, it is told, or the rows are there', async () => {
    const rows = Array.from({ length: 50 }, (_, n) => ({ text: `row ${n}`, n, x: n / 3 }));
    const whole = await encoded(rows, { compression: 'gzip' });
    await fc.assert(
      fc.asyncProperty(
        fc.nat(whole.length - 1),
        fc.integer({ min: 1, max: 255 }),
        async (at, bits) => {
          const broken = Buffer.from(whole);
          broken[at] = (broken[at] ?? 0) ^ bits;
          const file = await bench.file(broken);
          const read = bench
            .plan(file, OPTIONS, 20)
            .then((shards) => bench.rows(file, OPTIONS, shards));
          const told = await read.then(
            () => 'read',
            (error: unknown) => error,
          );
          if (told !== 'read') expect(told).toMatchObject({ name: 'InputError' });
        },
      ),
      { numRuns: 300 },
    );
  });
});
