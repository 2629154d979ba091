/** A reader for the Protocol Buffers wire format, as far as ONNX files use it. */

/** One field of a message. */
export interface Field {
  readonly number: number;
  /** A number for a varint, bytes for what has a length; fixed-size numbers as their bytes. */
  readonly value: number | Buffer;
  /** The field as it was written, tag and all. */
  readonly raw: Buffer;
}

const WIRE_VARINT = 0;
const WIRE_EIGHT_BYTES = 1;
const WIRE_LENGTH_DELIMITED = 2;
const WIRE_FOUR_BYTES = 5;

/** Fields of a message, in their order. Nothing is copied. @throws Error if it is none */
export function* fieldsOf(message: Buffer): Generator<Field> {
  let at = 0;
  const varint = (): number => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at];
      if (byte === undefined) throw new Error('the message ends within a number');
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(BigInt.asIntN(64, value));
    }
  };
  const take = (length: number): Buffer => {
    at += length;
    if (at > message.byteLength) throw new Error('the message ends within a field');
    return message.subarray(at - length, at);
  };
  while (at < message.byteLength) {
    const begin = at;
    const tag = varint();
    const value = ((): number | Buffer => {
      switch (tag & 7) {
        case WIRE_VARINT:
          return varint();
        case WIRE_EIGHT_BYTES:
          return take(8);
        case WIRE_LENGTH_DELIMITED:
          return take(varint());
        case WIRE_FOUR_BYTES:
          return take(4);
        default:
          throw new Error(`a field has wire type ${tag & 7}`);
      }
    })();
    yield { number: Math.floor(tag / 8), value, raw: message.subarray(begin, at) };
  }
}

/** The numbers of a repeated integer field, packed or not. */
export function integersOf(fields: readonly Field[], number: number): readonly number[] {
  return fields.flatMap((field) => {
    if (field.number !== number) return [];
    if (typeof field.value === 'number') return [field.value];
    // Packed: the values one after another, each as if it were the field 0.
    const numbers: number[] = [];
    let value = 0;
    let scale = 1;
    for (const byte of field.value) {
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte >= 0x80) continue;
      numbers.push(value);
      [value, scale] = [0, 1];
    }
    return numbers;
  });
}

export function stringsOf(fields: readonly Field[], number: number): readonly string[] {
  return fields.flatMap(({ number: of, value }) =>
    of === number && typeof value !== 'number' ? [value.toString('utf8')] : [],
  );
}
