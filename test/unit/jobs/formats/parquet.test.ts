import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { ByteRange, FileRef } from '../../../../src/jobs/files/place.js';
import type { Columns, OutputColumn, OutputOptions } from '../../../../src/jobs/formats/format.js';
import { encode, Formats } from '../../../../src/jobs/formats/formats.js';
import { parquetShards } from '../../../../src/jobs/formats/parquet/parquet-shards.js';
import { builtThread } from '../built-thread.js';
import { all, Bench, one, signal, temporaryFolder, valuesOf } from '../reading.js';

const OPTIONS = { format: 'parquet', compression: 'none' } as const;
const WHOLE = [{ unit: 'rows', start: 0 }] as const;
const folder = await temporaryFolder();
const thread = await builtThread(folder);
const bench = new Bench(folder, thread);
const fixture = (name: string) =>
  one(bench.places, fileURLToPath(new URL(`../../../fixtures/parquet/${name}`, import.meta.url)));

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

  test('the schema is that of the columns, whatever the rows hold; other values are refused', async () => {
    const typesOf = async (rows: readonly Columns[]) => {
      const file = await bench.file(await encoded(rows));
      return [...(await bench.formats.input('parquet').columnTypes(file, OPTIONS, signal))];
    };
    const types = [
      ['text', 'text'],
      ['n', 'integer'],
      ['x', 'number'],
      ['yes', 'flag'],
      ['scores', 'text'],
    ];
    expect(await typesOf([])).toEqual(types);
    expect(await typesOf([{ text: null, n: null }])).toEqual(types);
    expect(await typesOf([{ text: 'a', n: 1, x: 2, yes: true }])).toEqual(types);
    const large = await bench.file(await encoded([{ n: '-9223372036854775808' }, { n: 1 }]));
    expect(valuesOf(await bench.rows(large, OPTIONS, WHOLE))).toMatchObject([
      { n: '-9223372036854775808' },
      { n: 1 },
    ]);
    for (const n of ['two', 0.5, '9223372036854775808']) {
      await expect(encoded([{ n: 1 }, { n }])).rejects.toThrow('the column "n" holds a');
    }
  });

  test('columns keep the type that the file says they have', async () => {
    const types = await bench.formats
      .input('parquet')
      .columnTypes(await fixture('kinds.parquet'), OPTIONS, signal);
    expect(Object.fromEntries(types)).toEqual({
      int8: 'integer',
      uint32: 'integer',
      uint64: 'text',
      float: 'number',
      half: 'number',
      small_decimal: 'text',
      large_decimal: 'text',
      date: 'text',
      millis: 'text',
      micros: 'text',
      nanos: 'text',
      before: 'text',
      bytes_of_text: 'text',
      bytes: 'text',
      list: 'json',
      struct: 'json',
      map: 'json',
      uuid: 'text',
    });
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

  test.each(['none', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4'])(
    'of another writer, packed with %s: all rows, each once, in shards',
    async (codec) => {
      const file = await fixture(`mails-${codec}.parquet`);
      const shards = await bench.plan(file, OPTIONS, 150);
      const read = await bench.rows(file, OPTIONS, shards);
      expect(read.map((rows) => rows.length)).toEqual([100, 100, 100, 100, 100]);
      expect(valuesOf(read)).toEqual(
        Array.from({ length: 500 }, (_, n) => ({
          id: n === 0 ? '9007199254740992' : String(9007199254740992n + BigInt(n)),
          text: n % 50 === 7 ? null : `mail ${n} – ${'lorem ipsum '.repeat(n % 5)}`,
          folder: `folder ${n % 3}`,
          unread: n % 2 === 0,
        })),
      );
      const texts = await bench.rows(file, { ...OPTIONS, columns: ['text'] }, [
        { unit: 'rows', start: 333, end: 335 },
      ]);
      expect(valuesOf(texts)).toEqual(
        [333, 334].map((n) => ({ text: `mail ${n} – ${'lorem ipsum '.repeat(n % 5)}` })),
      );
    },
  );

  test('without an index of pages, a row group is read once for all its shards', async () => {
    const file = await fixture('mails-none.parquet');
    const starts: number[] = [];
    const reader = {
      read(of: FileRef, range: ByteRange, stop: AbortSignal) {
        starts.push(range.start);
        return bench.places.read(of, range, stop);
      },
    };
    const formats = new Formats(reader, thread);
    for (let start = 0; start < 200; start += 50) {
      const shard = { unit: 'rows', start, end: start + 50 } as const;
      await all(
        formats.input('parquet').read(file, shard, { ...OPTIONS, columns: ['text'] }, signal),
      );
    }
    await formats.close();
    // The end of the file twice, for its length and its list, and the column.
    expect(starts).toHaveLength(3);
  });

  /** One row group without an index of its pages, as pyarrow and pandas write them; its text is much longer than a step. */
  describe('a long row group without an index of its pages', () => {
    /** Words that no codec makes much shorter. */
    const noise = (n: number, words: number) =>
      Array.from({ length: words }, (_, at) =>
        ((n * 7919 + at * at * 104_729) % 2147483647).toString(36),
      ).join(' ');
    const rows = Array.from({ length: 6000 }, (_, n) => ({
      id: BigInt(n),
      text: n % 100 === 7 ? null : noise(n, 250 + (n % 150)),
      folder: `folder ${n % 3} ${'x'.repeat(1000)}`,
    }));
    const plainOf = ({ id, text, folder }: (typeof rows)[number]) => ({
      id: Number(id),
      text,
      folder,
    });
    const noted: { start: number; bytes: number }[] = [];
    const formats = new Formats(
      {
        read(of: FileRef, range: ByteRange, stop: AbortSignal) {
          noted.push({ start: range.start, bytes: (range.end ?? of.bytes) - range.start });
          return bench.places.read(of, range, stop);
        },
      },
      thread,
    );
    afterAll(() => formats.close());

    async function longFile(codec: 'UNCOMPRESSED' | 'SNAPPY'): Promise<FileRef> {
      const { parquetWriteBuffer } = await import('hyparquet-writer');
      const column = <T extends 'id' | 'text' | 'folder'>(name: T, more: object) => ({
        name,
        data: rows.map((row) => row[name]),
        offsetIndex: false,
        columnIndex: false,
        ...more,
      });
      const written = parquetWriteBuffer({
        columnData: [
          column('id', { type: 'INT64' }),
          column('text', { type: 'STRING', encoding: 'PLAIN' }),
          column('folder', { type: 'STRING' }),
        ],
        rowGroupSize: rows.length,
        pageSize: 200_000,
        codec,
      });
      return bench.file(new Uint8Array(written));
    }

    const read = async (file: FileRef, start: number, end: number) => {
      noted.length = 0;
      const shard = { unit: 'rows', start, end } as const;
      return valuesOf([
        (await all(formats.input('parquet').read(file, shard, OPTIONS, signal))).flat(),
      ]);
    };

    test.each(['UNCOMPRESSED', 'SNAPPY'] as const)(
      '%s: rows anywhere are read page by page, each page about once',
      async (codec) => {
        const file = await longFile(codec);
        expect(file.bytes).toBeGreaterThan(8e6);
        expect(await read(file, 0, rows.length)).toEqual(rows.map(plainOf));
        const bytesRead = noted.reduce((sum, { bytes }) => sum + bytes, 0);
        expect(bytesRead).toBeLessThan(1.5 * file.bytes + 1e6);
        expect(Math.max(...noted.map(({ bytes }) => bytes))).toBeLessThan(2.5e6);
        expect(await read(file, 4321, 4400)).toEqual(rows.slice(4321, 4400).map(plainOf));
        expect(noted.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(2.5e6);
      },
    );

    test('any rows are those rows, whoever walked where before', async () => {
      const file = await longFile('SNAPPY');
      await fc.assert(
        fc.asyncProperty(
          fc.nat(rows.length - 1),
          fc.integer({ min: 1, max: 900 }),
          async (start, count) => {
            const end = Math.min(start + count, rows.length);
            expect(await read(file, start, end)).toEqual(rows.slice(start, end).map(plainOf));
          },
        ),
        { numRuns: 15 },
      );
    });

    test('headers that are broken are told', async () => {
      const file = await longFile('UNCOMPRESSED');
      const bytes = await readFile(file.url);
      // Within the text’s column, behind what a shard from the start needs.
      bytes.fill(0xff, 4e6, 9e6);
      const broken = await bench.file(bytes);
      await expect(read(broken, 5000, 5010)).rejects.toThrow('its Parquet is broken');
    });
  });

  test('values of every type are plain ones', async () => {
    const rows = valuesOf(await bench.rows(await fixture('kinds.parquet'), OPTIONS, WHOLE));
    expect(rows).toEqual([
      {
        int8: -1,
        uint32: 4294967295,
        uint64: '18446744073709551615',
        float: 0.5,
        half: 1.5,
        small_decimal: -12.3,
        large_decimal: '12345678901234567890.123',
        date: '2026-01-31',
        millis: '2026-01-31T12:00:00.123Z',
        micros: '2026-01-31T12:00:00.123456Z',
        nanos: '2026-01-31T12:00:00.123456000Z',
        before: '1960-01-01T00:00:00.000001Z',
        bytes_of_text: 'grün',
        bytes: '/wAB',
        list: ['a', null, 'b'],
        struct: { a: 1, b: ['x'] },
        map: { k: 1 },
        uuid: '00000000-0000-0000-0000-000000000001',
      },
      expect.objectContaining({
        uint64: null,
        float: null,
        date: '1969-12-31',
        bytes: '',
        list: [],
        struct: null,
        map: {},
        uuid: null,
      }),
    ]);
  });

  test('a file that is cut off anywhere is refused', async () => {
    const rows = Array.from({ length: 50 }, (_, n) => ({ text: `row ${n}`, n, x: n / 3 }));
    const whole = await encoded(rows, { compression: 'gzip' });
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), async (length) => {
        const file = await bench.file(whole.subarray(0, length));
        await expect(bench.plan(file, OPTIONS, 20)).rejects.toMatchObject({ name: 'InputError' });
      }),
      { numRuns: 50 },
    );
  });

  test('whatever is broken within a file, it is told, or rows are there: never a crash, never a wait', async () => {
    const rows = Array.from({ length: 50 }, (_, n) => ({ text: `row ${n}`, n, x: n / 3 }));
    const whole = await encoded(rows, { compression: 'gzip' });
    const hasty = new Formats(bench.places, thread, 1000);
    const parquet = hasty.input('parquet');
    const readAll = async (content: Buffer) => {
      const file = await bench.file(content);
      for await (const shard of parquet.plan(file, OPTIONS, 20, signal)) {
        for await (const _ of parquet.read(file, shard, OPTIONS, signal));
      }
    };
    // One that keeps the decoder busy for very long: a length in the levels of a page.
    const broken = Buffer.from(whole);
    broken[13] = (broken[13] ?? 0) ^ 4;
    await expect(readAll(broken)).rejects.toThrow('its Parquet is broken');
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(7), async (at, bit) => {
        const changed = Buffer.from(whole);
        changed[at] = (changed[at] ?? 0) ^ (1 << bit);
        const told = await readAll(changed).then(
          () => undefined,
          (error: unknown) => error,
        );
        if (told !== undefined) expect(told).toMatchObject({ name: 'InputError' });
      }),
      { numRuns: 60, endOnFailure: true },
    );
    await readAll(whole);
    await hasty.close();
  }, 60_000);
});
