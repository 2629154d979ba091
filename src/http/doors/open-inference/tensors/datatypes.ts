/** Tensors of the Open Inference protocol, as far as this server takes and gives them. */
import { PlimsollError } from '../../../../errors.js';

/** Datatypes that an input may have. */
export type InputDatatype = 'BYTES' | 'INT64' | 'INT32';

/** Bytes of one element; an element of BYTES has a length of its own. */
export const ELEMENT_BYTES = { INT64: 8, INT32: 4, FP32: 4 } as const;

/** Length of what says how long an element of BYTES is, in bytes: unsigned, little-endian. */
export const LENGTH_BYTES = 4;

/** Largest value of an integer tensor: token ids and token types are 32 bits wide. */
export const MAX_INTEGER = 2 ** 31 - 1;

/** Most dimensions of a tensor; no input of this server has more than two. */
const MAX_RANK = 8;

interface Named {
  readonly name: string;
  /** Row-major; each dimension is a safe integer of 0 or more, and so is their product. */
  readonly shape: readonly number[];
}

/** An input with its elements, row by row. */
export interface TextTensor extends Named {
  readonly datatype: 'BYTES';
  readonly texts: readonly string[];
}
export interface IntegerTensor extends Named {
  readonly datatype: 'INT64' | 'INT32';
  /** From 0 to {@link MAX_INTEGER}. */
  readonly integers: Int32Array;
}
export type InputTensor = TextTensor | IntegerTensor;

/** An output with its elements, row by row. */
export type OutputTensor = Named &
  (
    | { readonly datatype: 'BYTES'; readonly texts: readonly string[] }
    | { readonly datatype: 'FP32'; readonly numbers: readonly number[] }
  );

/** What is wrong with a request: status 400. */
export function invalid(message: string): PlimsollError {
  return new PlimsollError('INVALID_REQUEST', message);
}

/** A thing of the protocol that this server does not do: status 501. */
export class NotSupported extends PlimsollError {
  constructor(message: string) {
    super('INVALID_REQUEST', message);
  }
}

/**
 * A shape, checked.
 *
 * @param what names the tensor in an error.
 * @throws PlimsollError INVALID_REQUEST
 */
export function shapeOf(value: unknown, what: string): readonly number[] {
  if (!Array.isArray(value)) throw invalid(`${what} has no shape: it is a list of sizes`);
  if (value.length === 0 || value.length > MAX_RANK) {
    throw invalid(`${what} has a shape of ${value.length} sizes; 1 to ${MAX_RANK} can be`);
  }
  for (const size of value as readonly unknown[]) {
    if (!Number.isSafeInteger(size) || Number(size) < 0) {
      throw invalid(`${what} has a shape with ${shown(size)}: each size is an integer, 0 or more`);
    }
  }
  const shape = value as readonly number[];
  if (!Number.isSafeInteger(elementsOf(shape))) {
    throw invalid(`${what} has the shape [${shape.join(', ')}]: so many elements cannot be`);
  }
  return shape;
}

/** Elements of a tensor of that shape; beyond the safe integers it is not exact. */
export function elementsOf(shape: readonly number[]): number {
  // One size of 0 makes 0 of any others, also where their product alone is infinite.
  if (shape.includes(0)) return 0;
  return shape.reduce((product, size) => product * size, 1);
}

/** An odd value in an error: no longer than a line. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : String(value);
}
