/**
 * A writer for the small part of the Protocol Buffers wire format that ONNX files need. Every
 * function returns one encoded field (tag and value); a message is its fields one after another.
 */

/** Wire type of `int32`, `int64` and enumerations. */
const WIRE_VARINT = 0;
/** Wire type of strings, bytes and nested messages. */
const WIRE_LENGTH_DELIMITED = 2;

/** An integer in 7-bit groups, least significant first; negatives in 64-bit two's complement. */
function varint(value: number): Uint8Array {
  if (!Number.isSafeInteger(value)) {
    throw new RangeError(`not an integer that protobuf can hold exactly: ${value}`);
  }
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

function tag(field: number, wireType: number): Uint8Array {
  return varint(field * 8 + wireType);
}

/** Joins chunks into one array; the result's length is the sum of theirs, in bytes. */
export function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(totalBytes(chunks));
  let offset = 0;
  for (const chunk of chunks) {
    joined.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return joined;
}

/** Sum of the chunks' lengths, in bytes. */
export function totalBytes(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
}

/** An `int32`, `int64` or enumeration field. */
export function integerField(field: number, value: number): Uint8Array {
  return concat([tag(field, WIRE_VARINT), varint(value)]);
}

/** A `float` field (wire type 5: four bytes, little-endian). */
export function floatField(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return concat([tag(field, 5), bytes]);
}

/** Tag and length of a length-delimited field whose `length` bytes the caller writes itself. */
export function fieldHeader(field: number, length: number): Uint8Array {
  return concat([tag(field, WIRE_LENGTH_DELIMITED), varint(length)]);
}

/** A `bytes` field. */
export function bytesField(field: number, value: Uint8Array): Uint8Array {
  return concat([fieldHeader(field, value.byteLength), value]);
}

/** A `string` field, in UTF-8. */
export function stringField(field: number, value: string): Uint8Array {
  return bytesField(field, new TextEncoder().encode(value));
}

/** A nested message made of the given fields. */
export function messageField(field: number, fields: readonly Uint8Array[]): Uint8Array {
  return bytesField(field, concat(fields));
}
