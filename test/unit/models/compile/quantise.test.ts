import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import {
  fieldsOf,
  integersOf,
  stringsOf,
} from '../../../../src/models/compile/onnx/protobuf-reader.js';
import {
  concat,
  floatField,
  integerField,
  stringField,
} from '../../../../src/models/compile/onnx/protobuf-writer.js';
import { halfBits, halve } from '../../../../src/models/compile/quantise/halve.js';
import { quantise } from '../../../../src/models/compile/quantise/quantise.js';
import { quantiseColumns } from '../../../../src/models/compile/quantise/weights.js';

const BUNDLED = fileURLToPath(new URL('../../../../models/spam/onnx/model.onnx', import.meta.url));

async function logits(model: Uint8Array, ids: readonly number[]): Promise<readonly number[]> {
  const session = await InferenceSession.create(model, { intraOpNumThreads: 1 });
  const feeds: Record<string, Tensor> = {};
  for (const name of session.inputNames) {
    const values = ids.map((id) => (name === 'input_ids' ? BigInt(id) : 1n));
    feeds[name] = new Tensor('int64', BigInt64Array.from(values), [1, ids.length]);
  }
  const outputs = await session.run(feeds);
  const data = outputs[session.outputNames[0] ?? '']?.data;
  await session.release();
  return data instanceof Float32Array ? [...data] : [];
}

describe('weights as integers', () => {
  it('are off by half a step at most, with a step for each column, and zero stays zero', () => {
    const weight = fc.integer({ min: -1_000_000, max: 1_000_000 }).map((value) => value / 1000);
    const values = fc.array(weight, { minLength: 6, maxLength: 60 });
    fc.assert(
      fc.property(values, (list) => {
        const weights = Float32Array.from(list.slice(0, list.length - (list.length % 3)));
        const { values: integers, scales } = quantiseColumns(weights, 3);
        for (const [at, weight] of weights.entries()) {
          const scale = scales[at % 3] ?? Number.NaN;
          const back = (integers[at] ?? Number.NaN) * scale;
          expect(Math.abs(back - weight)).toBeLessThanOrEqual(scale * 0.5001);
          if (weight === 0) expect(integers[at]).toBe(0);
        }
      }),
    );
  });
});

describe('a message', () => {
  it('is read field by field, also packed numbers', () => {
    const message = Buffer.from(
      concat([
        integerField(1, 300),
        stringField(8, 'weight'),
        floatField(2, 1.5),
        integerField(1, 7),
      ]),
    );
    const fields = [...fieldsOf(message)];
    expect(fields.map(({ number }) => number)).toEqual([1, 8, 2, 1]);
    expect(integersOf(fields, 1)).toEqual([300, 7]);
    expect(stringsOf(fields, 8)).toEqual(['weight']);
    expect(Buffer.concat(fields.map(({ raw }) => raw)).equals(message)).toBe(true);
    // dims = [300, 2], packed: 0xAC 0x02 0x02.
    const packed = [...fieldsOf(Buffer.from([0x0a, 3, 0xac, 0x02, 0x02]))];
    expect(integersOf(packed, 1)).toEqual([300, 2]);
  });

  it('that is cut short is refused', () => {
    const message = Buffer.from(concat([stringField(8, 'weight')]));
    expect(() => [...fieldsOf(message.subarray(0, 4))]).toThrow('ends within a field');
    expect(() => quantise(Buffer.from([0x08, 0x01]))).toThrow('no graph');
  });
});

describe('the bundled model, quantised', () => {
  it('is a quarter of its size, runs, and says nearly the same', async () => {
    const original = await readFile(BUNDLED);
    const quantised = concat(quantise(original));
    expect(quantised.byteLength).toBeLessThan(original.byteLength * 0.3);
    for (const ids of [
      [2, 77, 500, 1200, 3],
      Array.from({ length: 100 }, (_, at) => 5 + ((at * 37) % 3000)),
    ]) {
      const [before, after] = [await logits(original, ids), await logits(quantised, ids)];
      expect(after).toHaveLength(before.length);
      const difference = Math.max(...after.map((value, at) => Math.abs(value - (before[at] ?? 9))));
      expect(difference).toBeLessThan(0.2);
      expect(difference).toBeGreaterThan(0);
    }
  });

  it('has its products and its table of words as integers, each value quantised once', async () => {
    const text = Buffer.from(concat(quantise(await readFile(BUNDLED)))).toString('latin1');
    const count = (word: string) => text.split(word).length - 1;
    const original = (await readFile(BUNDLED)).toString('latin1');
    expect(count('MatMulInteger')).toBeGreaterThan(15);
    expect(count('DequantizeLinear')).toBeGreaterThan(0);
    // Queries, keys and values are products of the same hidden state.
    expect(count('DynamicQuantizeLinear')).toBeLessThan(count('MatMulInteger'));
    expect(original).not.toContain('MatMulInteger');
  });
});

describe('half precision', () => {
  it.each([
    [0, 0],
    [-0, 0x8000],
    [1, 0x3c00],
    [-2, 0xc000],
    [65504, 0x7bff],
    [65519, 0x7bff],
    [65520, 0x7c00],
    [Number.POSITIVE_INFINITY, 0x7c00],
    [2 ** -14, 0x0400],
    [2 ** -24, 1],
    [2 ** -25, 0],
    [1.5 * 2 ** -24, 2],
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [0.1, 0x2e66],
  ])('%f is %i', (value, bits) => {
    expect(halfBits(Float32Array.of(value))[0]).toBe(bits);
  });

  it('halves the bundled model, which then runs and says nearly the same', async () => {
    const original = await readFile(BUNDLED);
    const halved = concat(halve(original));
    expect(halved.byteLength).toBeLessThan(original.byteLength * 0.51);
    const ids = [2, 77, 500, 1200, 3];
    const [before, after] = [await logits(original, ids), await logits(halved, ids)];
    expect(after).toHaveLength(before.length);
    for (const [at, value] of after.entries()) {
      expect(Math.abs(value - (before[at] ?? 9))).toBeLessThan(0.02);
    }
  });
});
