/** Writes safetensors files: good ones with random weights, and hostile ones byte by byte. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { neededTensors } from '../../../../src/models/compile/families/describe.js';
import type { JsonObject } from '../../../../src/models/intake/folder/json.js';

export type Dtype = 'F32' | 'F16' | 'BF16';

/** A tensor's values, and what it is called. */
export interface Named {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** mulberry32: the same seed gives the same numbers, from 0 to 1. */
export function numbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** All tensors of a model of that config.json, with values that BF16 and F16 hold exactly. */
export function randomTensors(config: JsonObject, seed: number): readonly Named[] {
  const next = numbers(seed);
  return neededTensors(config).map(({ name, shape }) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const isGain = shape.length === 1 && /norm.*weight$/i.test(name);
    const spread = shape.length === 1 ? 0.5 : 2 / Math.sqrt(shape[1] ?? 1);
    // Multiples of 1/64 below 2: few enough bits for a BF16.
    const value = () => Math.round((next() * 2 - 1) * Math.min(spread, 0.98) * 64) / 64;
    return { name, shape, values: Float32Array.from({ length: count }, () => value() + +isGain) };
  });
}

/** The bytes of a safetensors file; `padding` blanks more than it takes to align the data. */
export function encode(tensors: readonly Named[], dtype: Dtype = 'F32', padding = 0): Buffer {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  const parts: Buffer[] = [];
  let at = 0;
  for (const { name, shape, values } of tensors) {
    const bytes = bytesOf(values, dtype);
    header[name] = { dtype, shape, data_offsets: [at, at + bytes.byteLength] };
    parts.push(bytes);
    at += bytes.byteLength;
  }
  const text = JSON.stringify(header);
  // As the format's own writer does it, the data begins at a multiple of eight bytes.
  const blanks = ((8 - (Buffer.byteLength(text) % 8)) % 8) + padding;
  return file(`${text}${' '.repeat(blanks)}`, Buffer.concat(parts));
}

/** A file with any header, however wrong. */
export function file(header: string | Buffer, data: Buffer, length?: bigint): Buffer {
  const text = Buffer.from(header);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(length ?? BigInt(text.byteLength));
  return Buffer.concat([size, text, data]);
}

function bytesOf(values: Float32Array, dtype: Dtype): Buffer {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  if (dtype === 'F32') return Buffer.from(words.slice().buffer);
  const halves = Uint16Array.from(words, (word) => (dtype === 'BF16' ? word >>> 16 : half(word)));
  return Buffer.from(halves.buffer);
}

/** Of a float32 that a normal binary16 holds exactly. */
function half(word: number): number {
  const sign = (word >>> 16) & 0x8000;
  const exponent = (word >>> 23) & 0xff;
  if (exponent === 0) return sign;
  return sign | ((exponent - 112) << 10) | ((word >>> 13) & 0x3ff);
}

/** A model folder: config.json, and files by their names. */
export function writeFolder(
  folder: string,
  config: JsonObject,
  files: Readonly<Record<string, Buffer | string>>,
): string {
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries({
    'config.json': JSON.stringify(config),
    ...files,
  })) {
    writeFileSync(path.join(folder, name), content);
  }
  return folder;
}
