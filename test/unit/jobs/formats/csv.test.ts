import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fieldsOf } from '../../../../src/jobs/formats/reading/csv-fields.js';
import { CsvSplitter } from '../../../../src/jobs/formats/reading/csv-splitter.js';
import { Bench, temporaryFolder, valuesOf } from '../reading.js';

const OPTIONS = { format: 'csv', compression: 'none' } as const;
const bench = new Bench(await temporaryFolder());

const rowsOf = async (content: string | Uint8Array, options = {}) =>
  valuesOf(await bench.rows(await bench.file(content), { ...OPTIONS, ...options }));

const quoted = (field: string, delimiter: string) =>
  /["\r\n]/.test(field) || field.includes(delimiter) ? `"${field.replaceAll('"', '""')}"` : field;

describe('CSV', () => {
  test('quotes, line ends within them, CRLF, a mark, blank lines, no end of the last line', async () => {
    const rows = await rowsOf('\ufeff"id","the\ntext"\r\n1,"a ""b"",\r\nc"\r\n\r\n2,5" pipe\n3,');
    expect(rows).toEqual([
      { id: '1', 'the\ntext': 'a "b",\r\nc' },
      { id: '2', 'the\ntext': '5" pipe' },
      { id: '3', 'the\ntext': '' },
    ]);
  });

  test.each([
    [',', 'a,b\n1,2'],
    [';', 'a;b\n"1,0;2,0";2\n3,5;4'],
    ['\t', 'a\tb\n1, 2; 3\t4'],
    ['|', 'a|b\n1|2'],
    [';', 'id;text, long\n1;x\n2;y'],
  ])('finds the delimiter %j', async (delimiter, content) => {
    const rows = await rowsOf(content);
    expect(rows).toEqual(await rowsOf(content, { delimiter }));
    expect(Object.keys(rows[0] ?? {})).toHaveLength(2);
  });

  test('one column, and a delimiter that is given', async () => {
    expect(await rowsOf('text\nhello\n"a,b"')).toEqual([{ text: 'hello' }, { text: 'a,b' }]);
    expect(await rowsOf('a§b\n1§2', { delimiter: '§' })).toEqual([{ a: '1', b: '2' }]);
  });

  test('bad rows are told, and the others read', async () => {
    const rows = await rowsOf(
      Buffer.concat([
        Buffer.from('a,b\n1\n1,2,3\n"x"y,2\n'),
        Buffer.from([0x61, 0xe4, 0x2c, 0x62, 0x0a]),
        Buffer.from('5,6\n"lost,7\n8,9\n'),
      ]),
    );
    expect(rows).toEqual([
      'byte 4: the row has 1 fields, the header 2',
      'byte 6: the row has 3 fields, the header 2',
      'byte 12: there is text behind a closing quote',
      'byte 19: it is not UTF-8 (convert it: iconv -f WINDOWS-1252 -t UTF-8)',
      { a: '5', b: '6' },
      'byte 28: a quote is not closed',
      { a: '8', b: '9' },
    ]);
  });

  test.each([
    ['a column twice', 'a,a\n1,2', /column "a" twice/],
    ['CR alone', 'a,b\r1,2\r', /CR alone/],
    ['a spreadsheet', Buffer.from([0x50, 0x4b, 0x03, 0x04, 0x14]), /spreadsheet.*CSV/],
    ['a header without end', `a,"${'x'.repeat(2 * 1024 * 1024)}`, /header is longer than 1 MB/],
  ])('%s is refused', async (_what, content, reason) => {
    const file = await bench.file(content);
    await expect(bench.plan(file, OPTIONS, 100)).rejects.toThrow(reason);
  });

  test('a missing column is refused, and the message has those that there are', async () => {
    const file = await bench.file('id,body\n1,2');
    await expect(bench.plan(file, { ...OPTIONS, columns: ['text'] }, 100)).rejects.toThrow(
      'has no column "text"; it has id, body',
    );
  });

  test.each(['a,b\n', '', '\ufeff', '\n', '\ufeff\r\n\n'])('%j has no shards', async (content) => {
    const options = { ...OPTIONS, ...(content === 'a,b\n' ? {} : { columns: ['text'] }) };
    const file = await bench.file(content);
    expect(await bench.plan(file, options, 100)).toEqual([]);
    expect(valuesOf(await bench.rows(file, options))).toEqual([]);
  });

  test('records are the same in whatever pieces they come, and behind a border as in the whole', () => {
    const piece = fc.constantFrom('"', '""', ',', '\n', '\r\n', 'a', 'ä', '"a\n"', ',"', '",', ' ');
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 60 }),
        fc.array(fc.nat(80), { maxLength: 10 }),
        fc.nat(20),
        (pieces, cuts, which) => {
          const content = Buffer.from(pieces.join(''));
          const piecesOf = (bytes: Buffer, at: readonly number[]) => {
            const ends = at.map((each) => Math.min(each, bytes.length));
            const sorted = [0, ...ends, bytes.length].sort((a, b) => a - b);
            return sorted.slice(1).map((end, n) => bytes.subarray(sorted[n], end));
          };
          const cut = (bytes: Buffer, start: number, at: readonly number[]) => {
            const splitter = new CsvSplitter(',', start, 12);
            const records = piecesOf(bytes, at).flatMap((each) => splitter.push(each));
            return [...records, ...splitter.end()].map((record) => ({
              ...record,
              content: record.content.toString(),
            }));
          };
          /** From one piece of memory that is used again and again. */
          const skimmed = (bytes: Buffer, at: readonly number[]) => {
            const splitter = new CsvSplitter(',', 0, 12);
            const ends: number[] = [];
            const room = Buffer.alloc(bytes.length);
            for (const each of piecesOf(bytes, at)) {
              room.fill('"').set(each);
              splitter.skim(room.subarray(0, each.length), (end) => ends.push(end));
            }
            splitter.skimEnd((end) => ends.push(end));
            return ends;
          };
          const whole = cut(content, 0, []);
          expect(cut(content, 0, cuts)).toEqual(whole);
          expect(skimmed(content, cuts)).toEqual(whole.map(({ end }) => end));
          const from = whole[which % Math.max(1, whole.length)]?.start ?? 0;
          expect(cut(content.subarray(from), from, cuts)).toEqual(
            whole.filter(({ start }) => start >= from),
          );
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('fields are what csv-parse makes of them', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: fc.constantFrom('a', '"', ',', ';', '\n', 'ß', ' ') }), {
          minLength: 1,
        }),
        fc.constantFrom(',', ';'),
        (fields, delimiter) => {
          const record = fields.map((field) => quoted(field, delimiter)).join(delimiter);
          fc.pre(record !== '');
          expect(fieldsOf(record, delimiter)).toEqual(fields);
          expect(parse(record, { delimiter })).toEqual([fields]);
        },
      ),
    );
  });

  test('any table, cut into shards of any size, is there once', async () => {
    const field = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r\n', 'ß', ' ', '=') });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(field, field), { maxLength: 40 }),
        fc.integer({ min: 1, max: 12 }),
        fc.constantFrom('\n', '\r\n'),
        fc.boolean(),
        async (table, shardRows, ending, isEnded) => {
          const lines = [['a', 'b'], ...table].map((row) =>
            row.map((each) => quoted(each, ',')).join(','),
          );
          const file = await bench.file(lines.join(ending) + (isEnded ? ending : ''));
          const shards = await bench.plan(file, OPTIONS, shardRows);
          const rows = await bench.rows(file, OPTIONS, shards);
          expect(valuesOf(rows)).toEqual(table.map(([a, b]) => ({ a, b })));
          expect(rows.map((each) => each.length)).toEqual(
            rows.map((_, n) => Math.min(shardRows, table.length - n * shardRows)),
          );
        },
      ),
      { numRuns: 100 },
    );
  });
});
