/** Collects the nodes and the initializers of an ONNX graph while it is being described. */

import type {
  AttributeValue,
  DataType,
  FileRange,
  NodeDescription,
  ValueDescription,
} from './messages.js';
import { elementBytes } from './messages.js';

/**
 * An initializer's values: given bytes, a part of another file, or a random stream that belongs to
 * the tensor's name.
 */
export type InitializerSource =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | ({ readonly kind: 'external' } & FileRange)
  | { readonly kind: 'random'; readonly mean: number; readonly std: number };

/** A constant tensor of the graph. */
export interface Initializer {
  readonly name: string;
  readonly type: DataType;
  readonly shape: readonly number[];
  readonly source: InitializerSource;
}

/** Number of elements of a tensor of the given shape (1 for a scalar). */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Size of an initializer's data, in bytes. */
export function dataBytes(initializer: Initializer): number {
  return elementCount(initializer.shape) * elementBytes[initializer.type];
}

/** A graph under construction. Every method returns the name of the value it defines. */
export class GraphBuilder {
  /** Nodes in topological order. */
  readonly nodes: NodeDescription[] = [];
  /** Shapes of values within the graph that ONNX Runtime could not infer. */
  readonly declared: ValueDescription[] = [];
  readonly #initializers = new Map<string, Initializer>();

  /** All initializers, in the order of their definition. */
  get initializers(): readonly Initializer[] {
    return [...this.#initializers.values()];
  }

  /** Number of random weights, in elements. */
  get parameters(): number {
    return this.initializers
      .filter(({ source }) => source.kind === 'random')
      .reduce((sum, { shape }) => sum + elementCount(shape), 0);
  }

  /**
   * Adds an operator.
   *
   * @param name - the node's name, a path such as `/bert/pooler/dense/MatMul`
   * @param output - the name of its output; derived from the node's name when left out
   */
  node(
    operator: string,
    name: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    output = `${name}_output_0`,
  ): string {
    this.nodes.push({ operator, name, inputs, output, attributes });
    return output;
  }

  /** Says what shape a value has; returns the value. */
  declare(name: string, type: DataType, shape: readonly (number | string)[]): string {
    this.declared.push({ name, type, shape });
    return name;
  }

  /** A tensor of random weights (float32). */
  weight(name: string, shape: readonly number[], std: number, mean = 0): string {
    return this.#define({ name, type: 'float', shape, source: { kind: 'random', mean, std } });
  }

  /** A tensor (float32) whose values lie in another file. */
  external(name: string, shape: readonly number[], range: FileRange): string {
    return this.#define({ name, type: 'float', shape, source: { kind: 'external', ...range } });
  }

  /** A tensor of given values (float32), of any shape. */
  floats(name: string, shape: readonly number[], values: Float32Array): string {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return this.#define({ name, type: 'float', shape, source: { kind: 'bytes', bytes } });
  }

  /** A scalar constant (float32); defined once for all its uses. */
  scalar(value: number): string {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    const source = { kind: 'bytes', bytes } as const;
    return this.#define({ name: `constant_${value}`, type: 'float', shape: [], source });
  }

  /** A scalar integer constant (int64). */
  integer(value: number): string {
    return this.#integers(`constant_integer_${value}`, [], [value]);
  }

  /** A constant list of integers (int64, one dimension); defined once for all its uses. */
  integers(...values: readonly number[]): string {
    return this.#integers(`constant_list_${values.join('_')}`, [values.length], values);
  }

  /** A long list of integers (int64, one dimension) under a name of its own. */
  table(name: string, values: readonly number[]): string {
    return this.#integers(name, [values.length], values);
  }

  #integers(name: string, shape: readonly number[], values: readonly number[]): string {
    const bytes = new Uint8Array(values.length * elementBytes.int64);
    const view = new DataView(bytes.buffer);
    values.forEach((value, index) => {
      view.setBigInt64(index * elementBytes.int64, BigInt(value), true);
    });
    return this.#define({ name, type: 'int64', shape, source: { kind: 'bytes', bytes } });
  }

  #define(initializer: Initializer): string {
    this.#initializers.set(initializer.name, initializer);
    return initializer.name;
  }
}
