import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Places } from '../../../../src/jobs/files/places.js';
import type { InputRow, ShardRange } from '../../../../src/jobs/formats/format.js';
import { Formats } from '../../../../src/jobs/formats/formats.js';

const { signal } = new AbortController();
const OPTIONS = { format: 'jsonl', compression: 'none' } as const;
let folder: string;
const places = new Places({
  s3: { endpoint: undefined, region: 'us-east-1' },
  folders: 'any',
  privateAddresses: false,
});
const jsonl = new Formats(places).input('jsonl');

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'jsonl-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function fileOf(content: string | Uint8Array) {
  const file = path.join(folder, 'rows.jsonl');
  await writeFile(file, content);
  for await (const found of places.list([file], signal)) return found;
  throw new Error('none');
}

async function rowsOf(content: string | Uint8Array, ranges?: readonly ShardRange[]) {
  const file = await fileOf(content);
  const rows: InputRow[] = [];
  for (const range of ranges ?? [{ unit: 'bytes', start: 0 } as const]) {
    for await (const slice of jsonl.read(file, range, OPTIONS, signal)) rows.push(...slice);
  }
  return rows;
}

const valuesOf = (rows: readonly InputRow[]) =>
  rows.map((row) => ('bad' in row ? row.bad : row.columns));

describe('JSONL', () => {
  test('rows, with blank lines, CRLF, a mark, and no end of the last line', async () => {
    const rows = await rowsOf('\ufeff{"a":1}\r\n\n  \n{"a":"ä"}\n{"a":null}');
    expect(rows).toEqual([
      { at: 0, columns: { a: 1 } },
      { at: 1, columns: { a: 'ä' } },
      { at: 2, columns: { a: null } },
    ]);
  });

  test('bad rows are told with their place, and without their text', async () => {
    const rows = await rowsOf(
      Buffer.concat([
        Buffer.from('{"a":1}\n{"secret\n[1]\n"x"\n'),
        Buffer.from([0x22, 0xff, 0x22, 0x0a]),
      ]),
    );
    expect(valuesOf(rows)).toEqual([
      { a: 1 },
      'byte 8: the line is not JSON: it ends too early',
      'byte 17: the line is a list, not an object of columns',
      'byte 21: the line is a text, not an object of columns',
      'byte 25: the line is not UTF-8',
    ]);
  });

  test('numbers that a double cannot hold stay as they are, as texts', async () => {
    const rows = await rowsOf('{"id":1234567890123456789,"t":"\\"1234567890123456789","f":1.25e3}');
    expect(valuesOf(rows)).toEqual([
      { id: '1234567890123456789', t: '"1234567890123456789', f: 1250 },
    ]);
  });

  test('any rows, cut anywhere, are there once each', async () => {
    const line = fc.oneof(
      fc.string().map((text) => JSON.stringify({ text })),
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
          const at = [...new Set([0, ...cuts.map((cut) => cut % (bytes + 1)), bytes])].sort(
            (a, b) => a - b,
          );
          const ranges = at
            .slice(1)
            .map((end, index) => ({ unit: 'bytes', start: at[index] ?? 0, end }) as const);
          const [whole, parts] = [await rowsOf(content), await rowsOf(content, ranges)];
          expect(valuesOf(parts)).toEqual(valuesOf(whole));
          expect(whole.length).toBe(lines.filter((each) => each.trim() !== '').length);
        },
      ),
      { numRuns: 100 },
    );
  });

  test('shards are about as many rows as asked, and cover the file', async () => {
    const content = Array.from({ length: 10_000 }, (_, n) =>
      JSON.stringify({ n, text: 'x'.repeat(n % 50) }),
    ).join('\n');
    const file = await fileOf(content);
    const ranges: ShardRange[] = [];
    for await (const range of jsonl.plan(file, OPTIONS, 1000, signal)) ranges.push(range);
    expect(ranges.length).toBeGreaterThanOrEqual(9);
    expect(ranges.length).toBeLessThanOrEqual(12);
    expect(
      valuesOf(await rowsOf(content, ranges)).map((row) => (typeof row === 'string' ? row : row.n)),
    ).toEqual(Array.from({ length: 10_000 }, (_, n) => n));
  });
});
