import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FileRef } from '../../../../src/jobs/files/place.js';
import type { InputOptions } from '../../../../src/jobs/formats/format.js';
import { Formats } from '../../../../src/jobs/formats/formats.js';
import { OpenFiles } from '../../../../src/jobs/formats/reading/open-files.js';
import { PackedRows } from '../../../../src/jobs/formats/reading/packed-rows.js';
import { all, Bench, signal, temporaryFolder, valuesOf } from '../reading.js';

const bench = new Bench(await temporaryFolder());
/** `printf '{"a":1}\n%.0s' {1..1000} | zstd`. */
const REAL_ZSTD = 'KLUv/QRYhQAAQHsiYSI6MX0KAQA1v75wATbDrOs=';

/** Counts the bytes that are read. */
function counting() {
  const counted = { bytes: 0, reads: 0 };
  const reader = {
    async *read(
      file: FileRef,
      range: { start: number; end?: number | undefined },
      stop: AbortSignal,
    ) {
      counted.reads += 1;
      for await (const chunk of bench.places.read(file, range, stop)) {
        counted.bytes += chunk.length;
        yield chunk;
      }
    },
  };
  return { counted, reader, formats: new Formats(reader) };
}

/** The first records of a file, and the memory that they took. */
async function watched(file: FileRef, options: InputOptions) {
  const before = process.memoryUsage().arrayBuffers;
  let mostBytes = 0;
  const watch = setInterval(() => {
    mostBytes = Math.max(mostBytes, process.memoryUsage().arrayBuffers - before);
  });
  const rows = await new PackedRows(bench.places, file, options).next(10, signal);
  clearInterval(watch);
  return { rows, mostBytes };
}

describe.each(['gzip', 'zstd'] as const)('packed with %s', (compression) => {
  test.each(['jsonl', 'csv'] as const)(
    '%s: any rows, cut into shards of any size, are there once',
    async (format) => {
      const texts = fc.array(fc.string({ unit: fc.constantFrom('a', '"', '\n', 'ß', ',') }), {
        maxLength: 200,
      });
      await fc.assert(
        fc.asyncProperty(texts, fc.integer({ min: 1, max: 30 }), async (rows, shardRows) => {
          const content =
            format === 'jsonl'
              ? rows.map((text) => JSON.stringify({ text })).join('\n')
              : ['text', ...rows.map((text) => `"${text.replaceAll('"', '""')}"`)].join('\n');
          const options = { format, compression };
          const file = await bench.file(content, compression);
          const shards = await bench.plan(file, options, shardRows);
          expect(valuesOf(await bench.rows(file, options, shards))).toEqual(
            rows.map((text) => ({ text })),
          );
          expect(valuesOf(await bench.rows(file, options, shards.toReversed())).length).toBe(
            rows.length,
          );
        }),
        { numRuns: 30 },
      );
    },
  );

  test('data that end too early, or are none, are told', async () => {
    const options = { format: 'jsonl', compression } as const;
    const whole = await bench.file('{"a":1}\n'.repeat(2000), compression);
    const bytes = Buffer.concat(await all(bench.places.read(whole, { start: 0 }, signal)));
    const cut = await bench.file(bytes.subarray(0, bytes.length - 20));
    await expect(bench.plan(cut, options, 100)).rejects.toThrow(
      new RegExp(`its ${compression} data are broken: unexpected end of file`),
    );
    const plain = await bench.file('{"a":1}\n'.repeat(100));
    await expect(bench.plan(plain, options, 100)).rejects.toThrow(/data are broken/);
  });

  test('one shard after another reads the file once', async () => {
    const options = { format: 'jsonl', compression } as const;
    const lines = Array.from({ length: 20_000 }, (_, n) => JSON.stringify({ n, r: Math.sin(n) }));
    const file = await bench.file(lines.join('\n'), compression);
    const shards = await bench.plan(file, options, 1000);
    const { counted, formats } = counting();
    for (const shard of shards) {
      expect(
        (await all(formats.input('jsonl').read(file, shard, options, signal))).flat(),
      ).toHaveLength(1000);
    }
    expect(counted.reads).toBe(1);
    expect(counted.bytes).toBe(file.bytes);
    await formats.close();
  });
});

test('zstd as its own program packs it', async () => {
  const options = { format: 'jsonl', compression: 'zstd' } as const;
  const file = await bench.file(Buffer.from(REAL_ZSTD, 'base64'));
  const rows = valuesOf(await bench.rows(file, options, [{ unit: 'rows', start: 0 }]));
  expect(rows).toEqual(Array.from({ length: 1000 }, () => ({ a: 1 })));
});

test('zstd whose content was changed is told', async () => {
  const changed = Buffer.from(REAL_ZSTD, 'base64');
  changed[12] = (changed[12] ?? 0) ^ 0xff;
  const options = { format: 'jsonl', compression: 'zstd' } as const;
  const rows = bench.rows(await bench.file(changed), options, [{ unit: 'rows', start: 0 }]);
  // Where Node.js has no zstd, checksums are not looked at: then the rows are bad ones.
  const told = await rows.then(valuesOf, (error: unknown) => error);
  if (told instanceof Error) expect(told).toMatchObject({ name: 'InputError' });
  else expect(told).not.toContainEqual({ a: 1 });
});

test('a stopped shard ends at once, and the next one reads from the start', async () => {
  const options = { format: 'jsonl', compression: 'gzip' } as const;
  const file = await bench.file('{"a":1}\n'.repeat(50_000), 'gzip');
  const { counted, formats } = counting();
  const stop = new AbortController();
  const reading = async () => {
    for await (const _ of formats
      .input('jsonl')
      .read(file, { unit: 'rows', start: 0 }, options, stop.signal)) {
      stop.abort(new Error('stopped'));
    }
  };
  await expect(reading()).rejects.toThrow('stopped');
  const rows = await all(
    formats.input('jsonl').read(file, { unit: 'rows', start: 49_999 }, options, signal),
  );
  expect(rows.flat()).toHaveLength(1);
  expect(counted.reads).toBe(2);
});

test('gzip: a file that unpacks to very much is read in little memory', async () => {
  const file = await bench.file(gzipSync(Buffer.alloc(150 * 1024 * 1024, 'x')));
  const { rows, mostBytes } = await watched(file, { format: 'jsonl', compression: 'gzip' });
  expect(rows).toMatchObject([{ content: 'the row is longer than 16 MB' }]);
  expect(mostBytes).toBeLessThan(80 * 1024 * 1024);
});

test('zstd: a few bytes that unpack to very much come out block by block', async () => {
  // 2,000 blocks of one byte that repeats 128 KB.
  const blocks = Array.from({ length: 2000 }, (_, n) => {
    const head = Buffer.alloc(4, 'x');
    head.writeUIntLE((131_072 << 3) | 2 | Number(n === 1999), 0, 3);
    return head;
  });
  const bomb = Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50]), ...blocks]);
  const file = await bench.file(bomb);
  const { rows, mostBytes } = await watched(file, { format: 'jsonl', compression: 'zstd' });
  expect(rows).toMatchObject([{ content: 'the row is longer than 16 MB' }]);
  expect(mostBytes).toBeLessThan(100 * 1024 * 1024);
});

test('zstd with a window beyond the bound is refused', async () => {
  const file = await bench.file(Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 1, 0, 0]));
  const options = { format: 'jsonl', compression: 'zstd' } as const;
  await expect(bench.plan(file, options, 100)).rejects.toThrow(/zstd data are broken/);
});

describe('open files', () => {
  const opened = async (file: FileRef, rows: number) => {
    const reader = new PackedRows(bench.places, file, { format: 'jsonl', compression: 'gzip' });
    await reader.skip(rows, signal);
    return reader;
  };

  test('the nearest before a row is taken; none behind it, and none of another file', async () => {
    const file = await bench.file('{"a":1}\n'.repeat(100), 'gzip');
    const open = new OpenFiles();
    const [first, second] = [await opened(file, 10), await opened(file, 50)];
    await open.give('a', first);
    await open.give('a', second);
    expect(open.take('a', 5)).toBeUndefined();
    expect(open.take('b', 60)).toBeUndefined();
    expect(open.take('a', 60)).toBe(second);
    expect(open.take('a', 60)).toBe(first);
    expect(open.size).toBe(0);
  });

  test('they are few, and closed with the rest', async () => {
    const file = await bench.file('{"a":1}\n'.repeat(100), 'gzip');
    const open = new OpenFiles(2);
    const readers = [await opened(file, 1), await opened(file, 2), await opened(file, 3)];
    for (const reader of readers) await open.give('a', reader);
    expect(open.size).toBe(2);
    expect(open.take('a', 1)).toBeUndefined();
    await open.close();
    expect(open.size).toBe(0);
    await expect(readers[2]?.next(1000, signal)).resolves.toBeUndefined();
  });
});

test.each(['none', 'gzip', 'zstd'] as const)(
  'packed %s: a mark, CRLF, line ends within quotes, ragged rows, no end of the last line, little or nothing at all',
  async (compression) => {
    const read = async (format: 'jsonl' | 'csv', content: string) => {
      const options = { format, compression };
      const file = await bench.file(content, compression);
      const shards = await bench.plan(file, options, 2);
      return valuesOf(await bench.rows(file, options, shards));
    };
    const csv = '\ufeffid,text\r\n1,"a\r\nb"\r\n2\r\n\r\n3,c,d\r\n4,"e"';
    expect(await read('csv', csv)).toEqual([
      { id: '1', text: 'a\r\nb' },
      expect.stringContaining('has 1 fields, the header 2'),
      expect.stringContaining('has 3 fields, the header 2'),
      { id: '4', text: 'e' },
    ]);
    expect(await read('csv', 'id,text')).toEqual([]);
    expect(await read('csv', '\ufeffid,text\r\n')).toEqual([]);
    for (const nothing of ['', '\ufeff', '\n', '\ufeff\r\n\r\n']) {
      expect(await read('csv', nothing)).toEqual([]);
    }
    expect(await read('jsonl', '\ufeff{"a":1}\r\n\r\n{"a":2}')).toEqual([{ a: 1 }, { a: 2 }]);
    expect(await read('jsonl', '')).toEqual([]);
    expect(await read('jsonl', '\n \r\n')).toEqual([]);
  },
);
