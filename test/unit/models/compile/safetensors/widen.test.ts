/** Half-precision weights become float32 exactly, some at a time. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { StoredTensor } from '../../../../../src/models/compile/safetensors/reader.js';
import { floatsOf, writeWidened } from '../../../../../src/models/compile/safetensors/widen.js';
import { temporaryFolder } from '../../folders.js';

function stored(dtype: string, content: Uint8Array, before = 0): StoredTensor {
  const file = path.join(temporaryFolder(), 'weights');
  writeFileSync(file, Buffer.concat([Buffer.alloc(before), content]));
  return { name: dtype, dtype, shape: [], file, offset: before, bytes: content.byteLength };
}

async function values(tensor: StoredTensor): Promise<readonly number[]> {
  const all: number[] = [];
  for await (const part of floatsOf(tensor)) for (const value of part) all.push(value);
  return all;
}

/** Value of a binary16 by the definition of IEEE 754. */
function binary16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const EVERY_HALF = Uint16Array.from({ length: 65_536 }, (_, bits) => bits);

test('every binary16', async () => {
  const found = await values(stored('F16', new Uint8Array(EVERY_HALF.buffer)));
  expect(found).toHaveLength(65_536);
  found.forEach((value, bits) => {
    if (!Object.is(value, binary16(bits))) throw new Error(`${bits}: ${value}`);
  });
});

test('every bfloat16', async () => {
  const found = await values(stored('BF16', new Uint8Array(EVERY_HALF.buffer)));
  const wanted = new Float32Array(Uint32Array.from(EVERY_HALF, (bits) => bits << 16).buffer);
  found.forEach((value, bits) => {
    if (!Object.is(value, wanted[bits])) throw new Error(`${bits}: ${value}`);
  });
});

test('over several chunks, from any offset, in one aligned file', async () => {
  const many = Float32Array.from({ length: 2_500_003 }, (_, at) => at);
  const halves = Uint16Array.from({ length: 1_100_001 }, (_, at) => at % 0x7c00);
  const long = stored('F32', new Uint8Array(many.buffer), 3);
  const half = stored('F16', new Uint8Array(halves.buffer), 1);
  const empty = stored('BF16', new Uint8Array(0));
  const file = path.join(temporaryFolder(), 'wide');
  const places = await writeWidened([long, half, empty], file);
  const content = readFileSync(file);
  const read = ({ name }: StoredTensor): Float32Array => {
    const { offset, length } = places.get(name) ?? { offset: -1, length: 0 };
    expect(offset % 64).toBe(0);
    return new Float32Array(Uint8Array.from(content.subarray(offset, offset + length)).buffer);
  };
  expect(Buffer.compare(Buffer.from(read(long).buffer), Buffer.from(many.buffer))).toBe(0);
  const wide = read(half);
  expect(wide).toHaveLength(halves.length);
  expect(wide.every((value, at) => value === binary16(halves[at] ?? -1))).toBe(true);
  expect(read(empty)).toHaveLength(0);
});

test('a file that became shorter is refused', async () => {
  const tensor = stored('F32', new Uint8Array(8));
  await expect(values({ ...tensor, bytes: 16 })).rejects.toThrow('shorter');
});

test('double precision is rounded to the nearest float32, over several chunks', async () => {
  const doubles = Float64Array.from({ length: 1_200_003 }, (_, at) => (at - 600_000) / 3);
  doubles[7] = 1e300;
  const found = await values(stored('F64', new Uint8Array(doubles.buffer), 5));
  expect(found).toHaveLength(doubles.length);
  found.forEach((value, at) => {
    if (!Object.is(value, Math.fround(doubles[at] ?? 0))) throw new Error(`${at}: ${value}`);
  });
});
