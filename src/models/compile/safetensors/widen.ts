/**
 * Writes tensors one after another as float32 into a file: half-precision types are widened, which is
 * exact, and double precision is rounded to the nearest, as `transformers` does when it loads such a model in float32. Memory: one chunk, whatever the tensors' size.
 */
import { type FileHandle, open } from 'node:fs/promises';
import type { StoredTensor } from './reader.js';

/** Types that the weights may have. */
export const WEIGHT_TYPES: readonly string[] = ['F32', 'F16', 'BF16', 'F64'];

/** Where a tensor's float32 values lie. */
export interface WidenedTensor {
  readonly offset: number;
  readonly length: number;
}

const ELEMENTS_PER_CHUNK = 1024 * 1024;
/** A cache line: what vector instructions read best. */
const ALIGNMENT_BYTES = 64;
const FLOAT_BYTES = 4;
const ELEMENT_BYTES: Readonly<Record<string, number>> = { F64: 8, F32: 4, F16: 2, BF16: 2 };

/**
 * @param tensors of one of {@link WEIGHT_TYPES}
 * @returns the place of each tensor in the file, by name
 * @throws Error of the file system, such as ENOSPC; the file is then incomplete.
 */
export async function writeWidened(
  tensors: readonly StoredTensor[],
  file: string,
): Promise<ReadonlyMap<string, WidenedTensor>> {
  const places = new Map<string, WidenedTensor>();
  const target = await open(file, 'w');
  try {
    let at = 0;
    for (const tensor of tensors) {
      const padding = (ALIGNMENT_BYTES - (at % ALIGNMENT_BYTES)) % ALIGNMENT_BYTES;
      if (padding > 0) await target.writeFile(Buffer.alloc(padding));
      at += padding;
      const length = await append(tensor, target);
      places.set(tensor.name, { offset: at, length });
      at += length;
    }
  } finally {
    await target.close();
  }
  return places;
}

async function append(tensor: StoredTensor, target: FileHandle): Promise<number> {
  let length = 0;
  for await (const values of floatsOf(tensor)) {
    await target.writeFile(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    length += values.byteLength;
  }
  return length;
}

/** A tensor's values in order, some at a time; each part is good until the next one is asked for. */
export async function* floatsOf(tensor: StoredTensor): AsyncGenerator<Float32Array> {
  const elementBytes = ELEMENT_BYTES[tensor.dtype] ?? FLOAT_BYTES;
  const count = tensor.bytes / elementBytes;
  const capacity = Math.min(count, ELEMENTS_PER_CHUNK);
  const raw = new Uint8Array(capacity * elementBytes);
  const wide = tensor.dtype === 'F32' ? new Float32Array(raw.buffer) : new Float32Array(capacity);
  const source = await open(tensor.file);
  try {
    for (let done = 0; done < count; done += capacity) {
      const elements = Math.min(capacity, count - done);
      const bytes = raw.subarray(0, elements * elementBytes);
      await readFully(source, bytes, tensor.offset + done * elementBytes);
      if (tensor.dtype === 'F64') wide.set(new Float64Array(raw.buffer, 0, elements));
      else if (tensor.dtype !== 'F32') widen(tensor.dtype, bytes, wide);
      yield wide.subarray(0, elements);
    }
  } finally {
    await source.close();
  }
}

async function readFully(file: FileHandle, target: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < target.byteLength; ) {
    const left = target.byteLength - at;
    const { bytesRead } = await file.read(target, at, left, position + at);
    if (bytesRead === 0) throw new Error('the weights became shorter while they were read');
    at += bytesRead;
  }
}

function widen(dtype: string, bytes: Uint8Array, wide: Float32Array): void {
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  const words = new Uint32Array(wide.buffer, wide.byteOffset, halves.length);
  if (dtype === 'BF16') {
    // The upper half of a float32.
    for (let at = 0; at < halves.length; at += 1) words[at] = (halves[at] ?? 0) << 16;
    return;
  }
  const table = float16Words();
  for (let at = 0; at < halves.length; at += 1) words[at] = table[halves[at] ?? 0] ?? 0;
}

let cachedWords: Uint32Array | undefined;

/** The bits of the float32 for each of the 65,536 binary16 numbers: one look-up for each weight. */
function float16Words(): Uint32Array {
  if (cachedWords !== undefined) return cachedWords;
  const words = Uint32Array.from({ length: 0x10000 }, (_, bits) => widenedBits(bits));
  cachedWords = words;
  return words;
}

/** IEEE 754 binary16 to binary32. */
function widenedBits(bits: number): number {
  const sign = (bits & 0x8000) << 16;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // Below 2^-14 the leading one is not implied: move it to its place, and count how far.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}
