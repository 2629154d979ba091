/** Elements that follow the JSON of a request or a reply as bytes: little-endian, row by row. Pure. */
import { ELEMENT_BYTES, invalid, LENGTH_BYTES, type OutputTensor } from './datatypes.js';
import { outOfRange } from './json-data.js';

/** A byte order mark is a part of the text. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Elements of BYTES: each has its length in four bytes before it.
 *
 * @throws PlimsollError INVALID_REQUEST
 */
export function textsIn(bytes: Buffer, count: number, what: string): readonly string[] {
  // Each element takes four bytes or more: a count that cannot be is refused before anything is made of its size.
  if (count * LENGTH_BYTES > bytes.length) {
    throw invalid(`${what} has ${count} elements; ${bytes.length} bytes do not hold so many`);
  }
  const texts: string[] = [];
  let at = 0;
  while (texts.length < count) {
    const begin = at + LENGTH_BYTES;
    if (begin > bytes.length) throw cutOff(texts.length, what);
    at = begin + bytes.readUInt32LE(at);
    if (at > bytes.length) throw cutOff(texts.length, what);
    texts.push(decoded(bytes.subarray(begin, at), texts.length, what));
  }
  if (at < bytes.length) {
    throw invalid(`${what} has ${bytes.length - at} bytes behind its ${count} elements`);
  }
  return texts;
}

function decoded(bytes: Buffer, index: number, what: string): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw invalid(`element ${index} of ${what} is not UTF-8`);
  }
}

function cutOff(index: number, what: string): Error {
  return invalid(`the bytes of ${what} end within element ${index}`);
}

/** @throws PlimsollError INVALID_REQUEST */
export function integersIn(
  bytes: Buffer,
  count: number,
  datatype: 'INT64' | 'INT32',
  what: string,
): Int32Array {
  const size = ELEMENT_BYTES[datatype];
  if (bytes.length !== count * size) {
    const expected = `${count} elements of ${size} bytes are ${count * size} bytes`;
    throw invalid(`${expected}; ${what} has ${bytes.length}`);
  }
  const integers = new Int32Array(count);
  for (let index = 0; index < count; index += 1) {
    const low = bytes.readInt32LE(index * size);
    const high = size === ELEMENT_BYTES.INT64 ? bytes.readInt32LE(index * size + 4) : 0;
    if (low < 0 || high !== 0) {
      const value = size === 8 ? bytes.readBigInt64LE(index * size) : low;
      throw outOfRange(index, what, String(value));
    }
    integers[index] = low;
  }
  return integers;
}

/** The elements of an output as bytes. */
export function bytesOf(tensor: OutputTensor): Buffer {
  if (tensor.datatype === 'FP32') {
    const bytes = Buffer.allocUnsafe(tensor.numbers.length * ELEMENT_BYTES.FP32);
    for (const [index, value] of tensor.numbers.entries()) {
      bytes.writeFloatLE(value, index * ELEMENT_BYTES.FP32);
    }
    return bytes;
  }
  return Buffer.concat(
    tensor.texts.flatMap((text) => {
      const bytes = Buffer.from(text);
      const length = Buffer.allocUnsafe(LENGTH_BYTES);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
}
