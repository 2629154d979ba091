/** Safetensors files that are broken or hostile: a clear refusal, and no memory for what they claim. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../../../../src/models/compile/safetensors/checkpoint.js';
import { parseHeader } from '../../../../../src/models/compile/safetensors/header.js';
import { readTensors } from '../../../../../src/models/compile/safetensors/reader.js';
import { temporaryFolder } from '../../folders.js';
import { encode, file } from '../checkpoints.js';

const DATA = Buffer.alloc(16);
const entry = (begin: number, end: number, more: object = {}) => {
  const shape = [(end - begin) / 4];
  return { dtype: 'F32', shape, data_offsets: [begin, end], ...more };
};
const json = (header: object) => JSON.stringify(header);

async function refusalOf(content: Buffer): Promise<string> {
  const name = path.join(temporaryFolder(), 'model.safetensors');
  writeFileSync(name, content);
  return readTensors(name).then(
    () => 'none',
    (error: unknown) => {
      expect(error).toMatchObject({ code: 'MODEL_UNUSABLE' });
      return error instanceof Error ? error.message : '';
    },
  );
}

const HOSTILE: readonly (readonly [string, Buffer, string])[] = [
  ['no bytes', Buffer.alloc(0), 'it has 0 bytes'],
  ['seven bytes', Buffer.alloc(7), 'it has 7 bytes'],
  ['a header of 2^60 bytes', file('{}', DATA, 2n ** 60n), '1152921504606846976 bytes'],
  ['a header of 2^64 − 1 bytes', file('{}', DATA, 2n ** 64n - 1n), '18446744073709551615 bytes'],
  ['a header one byte too long', file('{}', Buffer.alloc(0), 3n), 'said to be 3 bytes'],
  ['a header of 20 MB', file(`{}${' '.repeat(20_000_000)}`, DATA), 'up to 16777216 are read'],
  ['no header', file('', DATA), 'does not begin with {'],
  ['a list', file('[]', DATA), 'does not begin with {'],
  ['half an object', file('{"a":', DATA), 'not JSON'],
  ['bytes that are no UTF-8', file(Buffer.from([0x7b, 0xff, 0x7d]), DATA), 'not UTF-8'],
  ['lists in lists', file(`{"a":${'['.repeat(100_000)}`, DATA), 'not JSON'],
  ['an entry that is none', file(json({ a: 7 }), DATA), 'tensor a is not described'],
  ['an unknown type', file(json({ a: entry(0, 16, { dtype: 'F33' }) }), DATA), 'unknown type F33'],
  ['no type', file(json({ a: entry(0, 16, { dtype: undefined }) }), DATA), 'unknown type'],
  ['a negative size', file(json({ a: entry(0, 16, { shape: [-4] }) }), DATA), 'the shape [-4]'],
  ['half a size', file(json({ a: entry(0, 16, { shape: [2.5] }) }), DATA), 'the shape [2.5]'],
  ['many sizes', file(json({ a: entry(0, 16, { shape: Array(99).fill(1) }) }), DATA), 'the shape'],
  [
    'sizes that overflow',
    file(json({ a: entry(0, 16, { shape: [2 ** 32, 2 ** 32, 4] }) }), DATA),
    'takes',
  ],
  [
    'a shape that does not fit',
    file(json({ a: entry(0, 16, { shape: [5] }) }), DATA),
    'takes 20 bytes',
  ],
  [
    'offsets backwards',
    file(json({ a: entry(16, 0, { shape: [0] }) }), DATA),
    'the offsets [16,0]',
  ],
  ['one offset', file(json({ a: entry(0, 16, { data_offsets: [0] }) }), DATA), 'the offsets [0]'],
  ['an overlap', file(json({ a: entry(0, 12), b: entry(8, 16) }), DATA), 'shares bytes'],
  ['the same bytes twice', file(json({ a: entry(0, 16), b: entry(0, 16) }), DATA), 'shares bytes'],
  ['a gap', file(json({ a: entry(0, 4), b: entry(8, 16) }), DATA), '4 bytes before the tensor b'],
  ['a gap at the beginning', file(json({ a: entry(4, 16) }), DATA), '4 bytes before the tensor a'],
  ['bytes at the end', file(json({ a: entry(0, 12) }), DATA), 'last 4 bytes'],
  ['a cut', file(json({ a: entry(0, 20) }), DATA), 'speaks of 20 bytes of data, it has 16'],
  [
    'a name twice',
    file(
      '{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"a":{"dtype":"F32","shape":[0],"data_offsets":[16,16]}}',
      DATA,
    ),
    'has a twice',
  ],
  [
    'a name twice, escaped',
    file(
      '{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"\\u0061":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}',
      DATA,
    ),
    'has a twice',
  ],
  [
    'a field twice',
    file('{"a":{"dtype":"F32","dtype":"I32","shape":[4],"data_offsets":[0,16]}}', DATA),
    'has dtype twice',
  ],
];

describe('a file is refused that has', () => {
  test.each(HOSTILE)('%s', async (_what, content, reason) => {
    const message = await refusalOf(content);
    expect(message).toContain('model.safetensors cannot be used: ');
    expect(message).toContain(reason);
    expect(message.length).toBeLessThan(600);
  });

  test('is read whatever the order of its names, empty tensors among them', async () => {
    const name = path.join(temporaryFolder(), 'model.safetensors');
    const header = json({
      ...{ '"q"': entry(12, 16), __metadata__: { a: 'b' }, b: entry(0, 12), none: entry(12, 12) },
      '{[': entry(12, 12, { shape: [3, 0] }),
    });
    writeFileSync(name, file(header, DATA));
    const found = await readTensors(name);
    expect(found.map((tensor) => tensor.name).sort()).toEqual(['"q"', 'b', 'none', '{[']);
    const [quoted] = found.filter((tensor) => tensor.name === '"q"');
    expect(quoted).toMatchObject({ bytes: 4, shape: [1], offset: 8 + header.length + 12 });
  });

  test('a pipe, a folder or a link to nowhere in its place', async () => {
    const folder = temporaryFolder();
    mkdirSync(path.join(folder, 'model.safetensors'));
    await expect(openCheckpoint(folder)).rejects.toThrow('it is no regular file');
    await expect(readTensors('/dev/zero')).rejects.toThrow('it is no regular file');
    const other = temporaryFolder();
    symlinkSync('nowhere', path.join(other, 'model.safetensors'));
    await expect(openCheckpoint(other)).rejects.toThrow(
      'model.safetensors cannot be used: it is missing',
    );
  });
});

describe('whatever is changed in a file', () => {
  const good = encode([
    { name: 'a.weight', shape: [2, 3], values: new Float32Array(6) },
    { name: 'a.bias', shape: [2], values: new Float32Array(2) },
  ]);

  test('it is refused, or its tensors lie within it and do not overlap', async () => {
    const name = path.join(temporaryFolder(), 'model.safetensors');
    const change = fc.record({
      at: fc.nat(good.byteLength - 1),
      byte: fc.nat(255),
      length: fc.nat(good.byteLength),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        let content = Buffer.from(good);
        for (const { at, byte, length } of changes) {
          if (at < content.byteLength) content[at] = byte;
          if (byte === 0) content = content.subarray(0, length);
        }
        writeFileSync(name, content);
        const tensors = await readTensors(name).catch((error: unknown) => {
          expect(error).toMatchObject({ code: 'MODEL_UNUSABLE' });
          return [];
        });
        const sorted = [...tensors].sort((one, two) => one.offset - two.offset);
        sorted.forEach(({ offset, bytes }, at) => {
          const next = sorted[at + 1]?.offset ?? content.byteLength;
          expect(offset + bytes).toBeLessThanOrEqual(next);
        });
      }),
      { numRuns: 300 },
    );
  });

  test('no memory is taken for what it claims', () => {
    const before = process.memoryUsage().rss;
    const huge = { a: { dtype: 'F32', shape: [2 ** 50], data_offsets: [0, 2 ** 52] } };
    expect(() => parseHeader(json(huge), 16)).toThrow('cut off');
    expect(process.memoryUsage().rss - before).toBeLessThan(50_000_000);
  });
});

describe('an index', () => {
  const shard = encode([{ name: 'a', shape: [2], values: new Float32Array(2) }]);
  const index = (map: unknown) => JSON.stringify({ weight_map: map });

  async function refusal(files: Readonly<Record<string, string | Buffer>>): Promise<string> {
    const folder = temporaryFolder();
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(path.join(folder, name), content);
    }
    return openCheckpoint(folder).then(
      () => 'none',
      (error: unknown) => (error instanceof Error ? error.message : ''),
    );
  }

  test.each([
    ['up and out', { a: '../other.safetensors' }],
    ['an absolute path', { a: '/etc/passwd.safetensors' }],
    ['a folder', { a: 'x/y.safetensors' }],
    ['another type', { a: 'pytorch_model.bin' }],
    ['no name', { a: 7 }],
    ['a hidden file', { a: '.x.safetensors' }],
  ])('that names %s is refused', async (_what, map) => {
    const message = await refusal({ 'model.safetensors.index.json': index(map) });
    expect(message).toContain('is not the name of a safetensors file in its folder');
  });

  test('without a map, without files, with a missing file or tensor, with a tensor twice', async () => {
    const name = 'model.safetensors.index.json';
    expect(await refusal({ [name]: '{}' })).toContain('no weight_map');
    expect(await refusal({ [name]: index({}) })).toContain('names 0 files');
    const missing = { [name]: index({ a: '1.safetensors', b: '2.safetensors' }) };
    expect(await refusal({ ...missing, '1.safetensors': shard })).toContain(
      '2.safetensors cannot be used: it is missing',
    );
    const lacking = { [name]: index({ a: '1.safetensors', b: '1.safetensors' }) };
    expect(await refusal({ ...lacking, '1.safetensors': shard })).toContain('lacks the tensor b');
    const both = { '1.safetensors': shard, '2.safetensors': shard };
    expect(await refusal({ ...missing, ...both })).toContain('both have the tensor a');
  });

  test('nothing at all, or only what is not read, is told with the remedy', async () => {
    expect(await refusal({})).toBe(
      'it has neither model.safetensors nor model.safetensors.index.json',
    );
    const message = await refusal({ 'pytorch_model.bin': 'x', 'tf_model.h5': 'x' });
    expect(message).toContain('it has pytorch_model.bin, tf_model.h5');
    expect(message).toContain('save_pretrained');
  });
});
