import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, test } from 'vitest';
import { builtThread } from '../built-thread.js';
import { Bench, temporaryFolder } from '../reading.js';

const PARQUET = { format: 'parquet', compression: 'none' } as const;
const JSONL = { format: 'jsonl', compression: 'none' } as const;
const ROWS = [{ unit: 'rows', start: 0 }] as const;
const folder = await temporaryFolder();
const bench = new Bench(folder, await builtThread(folder));
const LARGE = 9007199254740993n;
const BYTES = [Uint8Array.from([0xff, 0xfe, 0x41]), new TextEncoder().encode('grün')];

const parquet = async (columnData: Parameters<typeof parquetWriteBuffer>[0]['columnData']) =>
  bench.file(new Uint8Array(parquetWriteBuffer({ columnData })));

describe('what is no text, in a column that the model reads', () => {
  test('Parquet: bytes that are not UTF-8 are a bad row; kept, they are base64', async () => {
    const file = await parquet([
      { name: 'id', data: [LARGE, 2n], type: 'INT64' },
      { name: 'text', data: BYTES, type: 'BYTE_ARRAY' },
      { name: 'raw', data: BYTES, type: 'BYTE_ARRAY' },
    ]);
    const [rows] = await bench.rows(file, { ...PARQUET, texts: ['text'] }, ROWS);
    expect(rows).toEqual([
      {
        ...{ at: 0, bad: 'text is not UTF-8' },
        columns: { id: String(LARGE), text: '//5B', raw: '//5B' },
      },
      { at: 1, columns: { id: 2, text: 'grün', raw: 'grün' } },
    ]);
  });

  test('Parquet: numbers are none, however many digits they have', async () => {
    const file = await parquet([
      { name: 'text', data: [LARGE, 7n], type: 'INT64' },
      { name: 'text_pair', data: ['a', 'b'], type: 'STRING' },
    ]);
    const [rows] = await bench.rows(file, { ...PARQUET, texts: ['text', 'text_pair'] }, ROWS);
    expect(rows?.[0]).toMatchObject({ bad: 'text is not a text', columns: { text_pair: 'a' } });
    expect(rows?.[1]).toMatchObject({ columns: { text: 7 } });
    const [kept] = await bench.rows(file, PARQUET, ROWS);
    expect(kept).toMatchObject([{ columns: { text: String(LARGE) } }, { columns: { text: 7 } }]);
    expect(kept?.some((row) => 'bad' in row)).toBe(false);
  });

  test('JSONL: a number beyond what a double holds is none; kept, it has all its digits', async () => {
    const file = await bench.file(
      [
        `{"id":${LARGE},"text":${LARGE}}`,
        `{"id":${LARGE},"text":"a ${LARGE}"}`,
        `{"id":${LARGE},"text":"${LARGE}"}`,
        '{"id":1,"text":12}',
      ].join('\n'),
    );
    const [rows] = await bench.rows(file, { ...JSONL, columns: ['id', 'text'], texts: ['text'] });
    expect(rows).toEqual([
      {
        ...{ at: 0, bad: 'byte 0: text is not a text' },
        columns: { id: String(LARGE), text: String(LARGE) },
      },
      { at: 1, columns: { id: String(LARGE), text: `a ${LARGE}` } },
      { at: 2, columns: { id: String(LARGE), text: String(LARGE) } },
      { at: 3, columns: { id: 1, text: 12 } },
    ]);
  });
});
