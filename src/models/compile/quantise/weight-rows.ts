/** Reads a matrix of an ONNX graph some rows at a time, from the graph itself or from the file that it names. */
import { open } from 'node:fs/promises';
import path from 'node:path';
import { PlimsollError } from '../../../errors.js';
import { dataTypes } from '../onnx/messages.js';
import type { Tensor } from '../onnx/rewrite.js';

const FLOAT_BYTES = 4;
const BYTES_PER_CHUNK = 4 * 1024 * 1024;

/** A matrix of float32 that is an initializer. */
export interface Matrix {
  readonly tensor: Tensor;
  readonly rows: number;
  readonly columns: number;
}

/** The tensor as a matrix; undefined if it is none of float32. */
export function matrixOf(tensor: Tensor | undefined): Matrix | undefined {
  if (tensor === undefined || tensor.type !== dataTypes.float) return undefined;
  if (tensor.data === undefined && tensor.external === undefined) return undefined;
  const [rows, columns, ...more] = tensor.shape;
  if (rows === undefined || columns === undefined || more.length > 0) return undefined;
  return rows > 0 && columns > 0 ? { tensor, rows, columns } : undefined;
}

/** Whole rows, in order, with the number of the first one. Each part is good until the next one is asked for. */
export async function* rowsOf(
  { tensor, rows, columns }: Matrix,
  dataFolder: string,
): AsyncGenerator<{ readonly first: number; readonly values: Float32Array }> {
  const rowBytes = columns * FLOAT_BYTES;
  const perChunk = Math.max(1, Math.min(rows, Math.floor(BYTES_PER_CHUNK / rowBytes)));
  const values = new Float32Array(perChunk * columns);
  let first = 0;
  for await (const bytes of bytesOf(tensor, dataFolder, perChunk * rowBytes)) {
    // A copy: the bytes of a message are not aligned.
    new Uint8Array(values.buffer).set(bytes);
    const count = bytes.byteLength / rowBytes;
    yield { first, values: values.subarray(0, count * columns) };
    first += count;
  }
  if (first !== rows) throw unusable(tensor, 'its values do not fit its shape');
}

/** All bytes of a tensor's values, in parts of at most `size`. */
export async function* bytesOf(
  tensor: Tensor,
  dataFolder: string,
  size = BYTES_PER_CHUNK,
): AsyncGenerator<Uint8Array> {
  const { data, external } = tensor;
  if (external === undefined) {
    for (let at = 0; at < (data?.byteLength ?? 0); at += size) {
      yield data?.subarray(at, at + size) ?? new Uint8Array();
    }
    return;
  }
  const file = await open(path.join(dataFolder, external.file));
  try {
    const end = external.length < 0 ? (await file.stat()).size : external.offset + external.length;
    const buffer = new Uint8Array(size);
    for (let at = external.offset; at < end; at += size) {
      const part = buffer.subarray(0, Math.min(size, end - at));
      const { bytesRead } = await file.read(part, 0, part.byteLength, at);
      if (bytesRead < part.byteLength) throw unusable(tensor, `${external.file} is too short`);
      yield part;
    }
  } finally {
    await file.close();
  }
}

function unusable({ name }: Tensor, reason: string): PlimsollError {
  return new PlimsollError('MODEL_UNUSABLE', `the weight ${name} cannot be read: ${reason}`);
}
