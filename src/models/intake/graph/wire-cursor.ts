import type { FileHandle } from 'node:fs/promises';

/** One field of a Protocol Buffers message in a file: where its value lies. */
export interface FieldPlace {
  readonly number: number;
  /** Offset of the value. */
  readonly start: number;
  /** Bytes of the value. */
  readonly length: number;
  /** The value of an integer field. */
  readonly integer: number | undefined;
}

const WINDOW_BYTES = 64 * 1024;
/** Longest tag and length: two variable-length integers of ten bytes. */
const HEAD_BYTES = 20;

/**
 * Walks over a Protocol Buffers file without reading it whole: field heads and small values come through one
 * window, the values of large fields are stepped over. A model of gigabytes costs some hundred small reads.
 */
export class WireCursor {
  readonly #handle: FileHandle;
  readonly #size: number;
  readonly #window = Buffer.allocUnsafe(WINDOW_BYTES);
  #begin = 0;
  #filled = 0;
  #fieldsLeft: number;

  /** @param maxFields a message with more fields is taken for hostile */
  constructor(handle: FileHandle, size: number, maxFields: number) {
    this.#handle = handle;
    this.#size = size;
    this.#fieldsLeft = maxFields;
  }

  /** The fields of the message that lies there. @throws Error if it is none */
  async *fields(start: number, end: number): AsyncGenerator<FieldPlace> {
    let at = start;
    while (at < end) {
      this.#fieldsLeft -= 1;
      if (this.#fieldsLeft < 0) throw new Error('it has more fields than any real model');
      const head = this.#view(at, HEAD_BYTES) ?? (await this.#load(at));
      const field = readField(head, at);
      at = field.start + field.length;
      if (at > end) throw new Error('it ends within a field');
      yield field;
    }
  }

  /** The first bytes of a value, at most that many; good until the next read. */
  async head({ start, length }: FieldPlace, most: number): Promise<Buffer> {
    const bytes = Math.min(length, most, WINDOW_BYTES);
    const view = this.#view(start, bytes) ?? (await this.#load(start));
    return view.subarray(0, bytes);
  }

  /** What the window holds from there on, if it is that much or all that the file has. */
  #view(at: number, bytes: number): Buffer | undefined {
    const from = at - this.#begin;
    const needed = Math.min(bytes, this.#size - at);
    if (from < 0 || from + needed > this.#filled || needed <= 0) return undefined;
    return this.#window.subarray(from, this.#filled);
  }

  async #load(at: number): Promise<Buffer> {
    this.#begin = at;
    const { bytesRead } = await this.#handle.read(this.#window, 0, WINDOW_BYTES, at);
    this.#filled = bytesRead;
    if (bytesRead === 0) throw new Error('it ends within a field');
    return this.#window.subarray(0, bytesRead);
  }
}

const [VARINT, EIGHT_BYTES, WITH_LENGTH, FOUR_BYTES] = [0, 1, 2, 5];

function readField(head: Buffer, offset: number): FieldPlace {
  const tag = readVarint(head, 0);
  const number = Math.floor(tag.value / 8);
  if (number === 0) throw new Error('it holds a field without a number');
  const start = offset + tag.end;
  switch (tag.value % 8) {
    case VARINT: {
      const { value, end } = readVarint(head, tag.end);
      return { number, start, length: end - tag.end, integer: value };
    }
    case EIGHT_BYTES:
      return { number, start, length: 8, integer: undefined };
    case FOUR_BYTES:
      return { number, start, length: 4, integer: undefined };
    case WITH_LENGTH: {
      const { value, end } = readVarint(head, tag.end);
      return { number, start: offset + end, length: value, integer: undefined };
    }
    default:
      throw new Error(`a field has wire type ${tag.value % 8}`);
  }
}

/** A non-negative integer; those beyond 2^53 come out inexact, which no length in a real file is. */
function readVarint(bytes: Buffer, at: number): { value: number; end: number } {
  let value = 0;
  let scale = 1;
  for (let end = at; end < at + 10; end += 1) {
    const byte = bytes[end];
    if (byte === undefined) break;
    value += (byte & 0x7f) * scale;
    scale *= 128;
    if (byte < 0x80) return { value, end: end + 1 };
  }
  throw new Error('it ends within a number');
}

/** The fields of a message that is in memory; one that was cut off gives those that are whole, then ends. */
export function* fieldsIn(message: Buffer): Generator<FieldPlace & { readonly bytes: Buffer }> {
  let at = 0;
  while (at < message.length) {
    let field: FieldPlace;
    try {
      field = readField(message.subarray(at), at);
    } catch {
      return;
    }
    const end = field.start + field.length;
    yield { ...field, bytes: message.subarray(field.start, Math.min(end, message.length)) };
    at = end;
  }
}

/** A repeated integer field, packed or not. */
export function integersIn({ integer, bytes }: { integer: number | undefined; bytes: Buffer }) {
  if (integer !== undefined) return [integer];
  const values: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const { value, end } = readVarint(bytes, at);
    values.push(value);
    at = end;
  }
  return values;
}
