/**
 * The nodes and initializers of a graph with products of integers. Only ordinary operators:
 *
 *     scale  = largest |x| of the token ÷ 127
 *     q      = uint8(round(x ÷ scale + 128))
 *     x · W ≈ MatMulInteger(q, int8 W, zero point 128) × scale × column's scale
 *
 * Scales that follow each token also follow the outlying ones, so that the others lose nothing to them.
 */
import {
  type DataType,
  dataTypes,
  externalInitializer,
  initializerHeader,
  type NodeDescription,
  nodeField,
} from '../onnx/messages.js';
import { concat } from '../onnx/protobuf-writer.js';
import type { Node, Tensor } from '../onnx/rewrite.js';
import type { DataFile } from './data-file.js';
import { integersByColumn, integersByRow, type MostInteger } from './integers.js';
import { type GraphReading, type LookUp, namesWithin, type Product } from './products.js';
import { bytesOf } from './weight-rows.js';

export interface PerTokenOptions {
  /** Names of products that stay in float32. */
  readonly keep?: ReadonlySet<string>;
  /** Whether large tables of embeddings become integers too, with a scale for each row; they do not by default. */
  readonly embeddings?: boolean;
  /** How weights are kept; `int8` when left out. */
  readonly weights?: WeightIntegers;
}

/**
 * - `int8`: −127 to 127. The fastest, and right only on CPUs with VNNI: others multiply with `pmaddubsw`, which adds two
 *   products in 16 bits and saturates.
 * - `int7`: −63 to 63 in the same kernel. Two products always fit: 2 × 255 × 63 < 2^15.
 * - `uint8`: as int8, shifted by a zero point of 128: a kernel that never saturates, and slower without VNNI.
 */
export type WeightIntegers = 'int8' | 'int7' | 'uint8';

/** A product with constant weights, as it can be named in {@link PerTokenOptions.keep}. */
export interface ProductFacts {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** From here on ReduceMax takes its axes as an input. */
const AXES_AS_INPUT = 18;
const MOST_ACTIVATION = 127;
const ZERO_POINT = 128;
/** Below the scale of any token that says something: a token of zeros must not be divided by zero. */
const LEAST_SIZE = 1e-20;
/** Values with fewer bytes stay in the graph. */
const LEAST_MOVED = 1024;

export class PerTokenGraph {
  readonly nodes: Uint8Array[] = [];
  readonly initializers: Uint8Array[] = [];
  readonly products: ProductFacts[] = [];
  readonly #used = new Set<string>();
  readonly #made = new Set<string>();
  readonly #dataFolder: string;
  readonly #data: DataFile;
  readonly #opset: number;
  readonly #options: PerTokenOptions;

  constructor(dataFolder: string, data: DataFile, opset: number, options: PerTokenOptions) {
    this.#dataFolder = dataFolder;
    this.#data = data;
    this.#opset = opset;
    this.#options = options;
  }

  async take(node: Node, reading: GraphReading): Promise<void> {
    const product = reading.product(node);
    if (product !== undefined && this.#options.keep?.has(nameOf(node)) !== true) {
      this.products.push(factsOf(product));
      return this.#multiply(product);
    }
    const lookUp = this.#options.embeddings === true ? reading.lookUp(node) : undefined;
    if (lookUp !== undefined) return this.#lookUp(lookUp);
    this.nodes.push(node.raw);
    for (const name of [...node.inputs, ...namesWithin(node)]) this.#used.add(name);
  }

  /** An initializer as it was, if a node reads it; its values move to the data file unless they are few. */
  async keep(tensor: Tensor): Promise<void> {
    if (!this.#used.has(tensor.name)) return;
    const type = typeOf(tensor);
    const isSmall = tensor.external === undefined && (tensor.data?.byteLength ?? 0) < LEAST_MOVED;
    if (isSmall || type === undefined) {
      this.initializers.push(tensor.raw);
      return;
    }
    const range = await this.#data.appendParts(bytesOf(tensor, this.#dataFolder));
    this.initializers.push(externalInitializer(tensor.name, type, tensor.shape, range));
  }

  async #multiply({ node, input, weight, isTransposed }: Product): Promise<void> {
    const { name } = weight.tensor;
    const [from, to] = isTransposed ? [weight.columns, weight.rows] : [weight.rows, weight.columns];
    const key = isTransposed ? `${name}_turned` : name;
    const form = this.#options.weights ?? 'int8';
    await this.#once(key, async () => {
      const most: MostInteger = form === 'int7' ? 63 : 127;
      const { values, scales } = isTransposed
        ? await integersByRow(weight, this.#dataFolder, most, true)
        : await integersByColumn(weight, this.#dataFolder, most);
      if (form === 'uint8')
        await this.#add(`${key}_integers`, 'uint8', [from, to], shifted(values));
      else await this.#add(`${key}_integers`, 'int8', [from, to], values);
      await this.#add(`${key}_scale`, 'float', [to], scales);
    });
    const activation = this.#activation(input);
    const [output = ''] = node.outputs;
    const at = (step: string) => `${output}_${step}`;
    const zero = this.#zeroPoint();
    const inputs = [activation.integers, `${key}_integers`, zero];
    if (form === 'uint8') inputs.push(zero);
    this.#node('MatMulInteger', inputs, at('sums'));
    this.#node('Cast', [at('sums')], at('floats'), { to: dataTypes.float });
    this.#node('Mul', [at('floats'), activation.scale], at('scaled'));
    this.#node('Mul', [at('scaled'), `${key}_scale`], output);
  }

  /** A value as integers, and the scale of each token; once for all products of it. */
  #activation(value: string): { readonly integers: string; readonly scale: string } {
    const at = (step: string) => `${value}_${step}`;
    const names = { integers: at('uint8'), scale: at('token_scale') };
    if (this.#made.has(names.integers)) return names;
    this.#made.add(names.integers);
    const most = this.#scalar('token_most', MOST_ACTIVATION);
    this.#node('Abs', [value], at('size'));
    this.#largest(at('size'), at('largest'));
    this.#node('Max', [at('largest'), this.#scalar('token_least', LEAST_SIZE)], at('bound'));
    this.#node('Div', [at('bound'), most], names.scale);
    this.#node('Div', [value, names.scale], at('steps'));
    this.#node('Add', [at('steps'), this.#scalar('token_zero', ZERO_POINT)], at('shifted'));
    this.#node('Round', [at('shifted')], at('rounded'));
    this.#node('Cast', [at('rounded')], names.integers, { to: dataTypes.uint8 });
    return names;
  }

  #largest(input: string, output: string): void {
    if (this.#opset < AXES_AS_INPUT) {
      this.#node('ReduceMax', [input], output, { axes: [-1], keepdims: 1 });
      return;
    }
    const axes = new BigInt64Array([-1n]);
    const name = this.#constant('token_axes', 'int64', [1], new Uint8Array(axes.buffer));
    this.#node('ReduceMax', [input, name], output, { keepdims: 1 });
  }

  /** Rows of a table, each with its own scale. */
  async #lookUp({ node, table, ids }: LookUp): Promise<void> {
    const { name } = table.tensor;
    await this.#once(`${name}_rows`, async () => {
      const { rows, columns } = table;
      const most = 127;
      const { values, scales } = await integersByRow(table, this.#dataFolder, most, false);
      await this.#add(`${name}_rows_int8`, 'int8', [rows, columns], values);
      await this.#add(`${name}_rows_scale`, 'float', [rows, 1], scales);
    });
    const [output = ''] = node.outputs;
    const at = (step: string) => `${output}_${step}`;
    this.#node('Gather', [`${name}_rows_int8`, ids], at('int8'));
    this.#node('Cast', [at('int8')], at('floats'), { to: dataTypes.float });
    this.#node('Gather', [`${name}_rows_scale`, ids], at('scale'));
    this.#node('Mul', [at('floats'), at('scale')], output);
    this.#used.add(ids);
  }

  #node(
    operator: string,
    inputs: readonly string[],
    output: string,
    attributes: NodeDescription['attributes'] = {},
  ): void {
    const name = `${output}_${operator}`;
    this.nodes.push(nodeField({ operator, name, inputs, output, attributes }));
    for (const input of inputs) this.#used.add(input);
  }

  async #once(key: string, make: () => Promise<void>): Promise<void> {
    if (this.#made.has(key)) return;
    this.#made.add(key);
    await make();
  }

  async #add(
    name: string,
    type: 'int8' | 'uint8' | 'float',
    shape: readonly number[],
    values: Int8Array | Uint8Array | Float32Array,
  ): Promise<void> {
    const range = await this.#data.append(values);
    this.initializers.push(externalInitializer(name, type, shape, range));
  }

  #scalar(name: string, value: number): string {
    return this.#constant(name, 'float', [], new Uint8Array(Float32Array.of(value).buffer));
  }

  #zeroPoint(): string {
    return this.#constant('token_zero_point', 'uint8', [], Uint8Array.of(ZERO_POINT));
  }

  #constant(name: string, type: DataType, shape: readonly number[], bytes: Uint8Array): string {
    if (!this.#made.has(name)) {
      this.#made.add(name);
      this.initializers.push(
        concat([initializerHeader(name, type, shape, bytes.byteLength), bytes]),
      );
    }
    return name;
  }
}

/** Integers from −128 as those from 0. */
function shifted(values: Int8Array): Uint8Array {
  const bytes = new Uint8Array(values.length);
  for (let at = 0; at < values.length; at += 1) bytes[at] = (values[at] ?? 0) + ZERO_POINT;
  return bytes;
}

/** The name of its result: unlike names of nodes, no other has it. */
export function nameOf(node: Node): string {
  return node.outputs[0] ?? '';
}

export function factsOf({ node, weight, isTransposed }: Product): ProductFacts {
  const [from, to] = isTransposed ? [weight.columns, weight.rows] : [weight.rows, weight.columns];
  return { name: nameOf(node), from, to };
}

function typeOf({ type }: Tensor): DataType | undefined {
  const names = Object.keys(dataTypes).filter((name): name is DataType => name in dataTypes);
  return names.find((name) => dataTypes[name] === type);
}
