/**
 * Dynamic quantisation of an ONNX file, as the converters that make the `model_quantized.onnx` of Hugging
 * Face repositories do it: weights become 8-bit integers, and what they are multiplied with is quantised
 * while it runs, by its own range.
 *
 * - `MatMul(x, W)` → `MatMulInteger` of `DynamicQuantizeLinear(x)` and W as int8 with a scale for each column,
 *   then `Cast` and `Mul`: the pattern that ONNX Runtime fuses into one kernel.
 * - `Gather(W, ids)` of a large table → `Gather` of int8, then `DequantizeLinear` with one scale.
 */
import { dataTypes, initializerHeader, type NodeDescription, nodeField } from '../onnx/messages.js';
import type { Field } from '../onnx/protobuf-reader.js';
import {
  convertFile,
  type Node,
  nodeOf,
  type Tensor,
  tensorOf,
  withGraph,
} from '../onnx/rewrite.js';
import { type Quantised, quantiseColumns, quantiseTable } from './weights.js';

/** Tables with fewer values stay as they are: they would gain nothing. */
const LEAST_TABLE = 4096;

/** Writes the quantised form of a model file. */
export function quantiseFile(source: string, target: string): Promise<void> {
  return convertFile(source, target, quantise);
}

/** The quantised model, in parts. @throws Error if it is no ONNX model with one graph */
export function quantise(model: Buffer): readonly Uint8Array[] {
  return withGraph(model, quantiseGraph);
}

function quantiseGraph(fields: readonly Field[]): readonly Uint8Array[] {
  const tensors = new Map(
    fields
      .filter(({ number }) => number === 5)
      .map((field) => [tensorOf(field).name, tensorOf(field)]),
  );
  const parts = new GraphParts();
  for (const field of fields) if (field.number === 1) rewrite(nodeOf(field), tensors, parts);
  const kept = [...tensors.values()].filter(({ name }) => parts.used.has(name));
  return [
    ...fields.filter(({ number }) => number !== 1 && number !== 5).map(({ raw }) => raw),
    ...parts.nodes,
    ...kept.map(({ raw }) => raw),
    ...parts.initializers,
  ];
}

/** What the new graph consists of. */
class GraphParts {
  readonly nodes: Uint8Array[] = [];
  readonly initializers: Uint8Array[] = [];
  /** Names of values that nodes read. */
  readonly used = new Set<string>();
  readonly #quantised = new Set<string>();

  keep(node: Node): void {
    this.nodes.push(node.raw);
    for (const input of node.inputs) this.used.add(input);
  }

  add(
    node: Omit<NodeDescription, 'attributes'>,
    attributes = {},
    more: Node['attributes'] = [],
  ): void {
    this.nodes.push(nodeField({ ...node, attributes }, more));
    for (const input of node.inputs) this.used.add(input);
  }

  /** A weight's integers and scales; each weight once. */
  weight(
    name: string,
    shape: readonly number[],
    scaleShape: readonly number[],
    of: Quantised,
  ): void {
    if (this.#quantised.has(name)) return;
    this.#quantised.add(name);
    this.#initializer(`${name}_quantized`, 'int8', shape, of.values);
    this.#initializer(`${name}_scale`, 'float', scaleShape, of.scales);
  }

  /** `DynamicQuantizeLinear` of a value; several products of one value share it. */
  activation(value: string): {
    readonly integers: string;
    readonly scale: string;
    readonly zero: string;
  } {
    const names = {
      integers: `${value}_quantized`,
      scale: `${value}_scale`,
      zero: `${value}_zero_point`,
    };
    if (!this.#quantised.has(value)) {
      this.#quantised.add(value);
      const output = [names.integers, names.scale, names.zero];
      const name = `${value}_QuantizeLinear`;
      this.add({ operator: 'DynamicQuantizeLinear', name, inputs: [value], output });
    }
    return names;
  }

  #initializer(
    name: string,
    type: 'int8' | 'float',
    shape: readonly number[],
    values: Int8Array | Float32Array,
  ): void {
    const { buffer, byteOffset, byteLength } = values;
    const data = new Uint8Array(buffer, byteOffset, byteLength);
    this.initializers.push(initializerHeader(name, type, shape, byteLength), data);
  }
}

function rewrite(node: Node, tensors: ReadonlyMap<string, Tensor>, parts: GraphParts): void {
  const [first = '', second = ''] = node.inputs;
  const [output = ''] = node.outputs;
  if (node.operator === 'MatMul') {
    const tensor = tensors.get(second);
    const weights = tensor?.shape.length === 2 ? tensor.weights() : undefined;
    const columns = tensor?.shape[1] ?? 0;
    if (tensor !== undefined && weights !== undefined && !tensors.has(first)) {
      parts.weight(second, tensor.shape, [columns], quantiseColumns(weights, columns));
      product(node.name, { value: first, weight: second, output }, parts);
      return;
    }
  }
  if (node.operator === 'Gather') {
    const tensor = tensors.get(first);
    const weights = tensor?.shape.length === 2 ? tensor.weights() : undefined;
    if (tensor !== undefined && weights !== undefined && weights.length >= LEAST_TABLE) {
      parts.weight(first, tensor.shape, [], quantiseTable(weights));
      const rows = `${output}_quantized`;
      const name = `${node.name}_quant`;
      const gather = {
        operator: 'Gather',
        name,
        inputs: [`${first}_quantized`, second],
        output: rows,
      };
      parts.add(gather, {}, node.attributes);
      const inputs = [rows, `${first}_scale`];
      parts.add({ operator: 'DequantizeLinear', name: `${name}_dequantize`, inputs, output });
      return;
    }
  }
  parts.keep(node);
}

function product(
  name: string,
  {
    value,
    weight,
    output,
  }: { readonly value: string; readonly weight: string; readonly output: string },
  parts: GraphParts,
): void {
  const { integers, scale, zero } = parts.activation(value);
  const [sums, floats, scales] = [`${output}_sums`, `${output}_floats`, `${output}_scales`];
  const inputs = [integers, `${weight}_quantized`, zero];
  parts.add({ operator: 'MatMulInteger', name: `${name}_quant`, inputs, output: sums });
  const cast = { operator: 'Cast', name: `${name}_cast`, inputs: [sums], output: floats };
  parts.add(cast, { to: dataTypes.float });
  const both = [scale, `${weight}_scale`];
  parts.add({ operator: 'Mul', name: `${name}_scales`, inputs: both, output: scales });
  parts.add({ operator: 'Mul', name: `${name}_scaled`, inputs: [floats, scales], output });
}
