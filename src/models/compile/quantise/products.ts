/** Finds what can be quantised in an ONNX graph: products with constant weights, and tables that are looked up. */
import { type Field, fieldsOf, integersOf, stringsOf } from '../onnx/protobuf-reader.js';
import type { Node, Tensor } from '../onnx/rewrite.js';
import { type Matrix, matrixOf } from './weight-rows.js';

/** A product of an activation and a constant matrix. */
export interface Product {
  readonly node: Node;
  /** The activation: a value of the graph. */
  readonly input: string;
  readonly weight: Matrix;
  /** Whether the matrix lies as [to, from], and a Transpose stands before the product. */
  readonly isTransposed: boolean;
}

/** A table whose rows are looked up by ids. */
export interface LookUp {
  readonly node: Node;
  readonly table: Matrix;
  readonly ids: string;
}

/** Tables with fewer values stay as they are: they would gain nothing. */
const LEAST_TABLE = 4096;

export class GraphReading {
  readonly #tensors: ReadonlyMap<string, Tensor>;
  readonly #makers = new Map<string, Node>();
  /** Values that do not depend on the model's inputs: ONNX Runtime computes them once. */
  readonly #constant: Set<string>;

  constructor(nodes: readonly Node[], tensors: ReadonlyMap<string, Tensor>) {
    this.#tensors = tensors;
    this.#constant = new Set(tensors.keys());
    for (const node of nodes) {
      for (const output of node.outputs) this.#makers.set(output, node);
      const isConstant =
        node.inputs.every((input) => input === '' || this.#constant.has(input)) &&
        namesWithin(node).length === 0;
      if (isConstant) for (const output of node.outputs) this.#constant.add(output);
    }
  }

  /** The node as a product; undefined if it is none, or one of two constants. */
  product(node: Node): Product | undefined {
    const [input = '', second = ''] = node.inputs;
    if (node.operator !== 'MatMul' || this.#constant.has(input)) return undefined;
    const weight = matrixOf(this.#tensors.get(second));
    if (weight !== undefined) return { node, input, weight, isTransposed: false };
    const maker = this.#makers.get(second);
    if (maker === undefined || !this.isTurnedWeight(maker)) return undefined;
    const turned = matrixOf(this.#tensors.get(maker.inputs[0] ?? ''));
    return turned === undefined ? undefined : { node, input, weight: turned, isTransposed: true };
  }

  /** Whether the node turns a constant matrix. */
  isTurnedWeight(node: Node): boolean {
    const isTurning = node.operator === 'Transpose' && turnsMatrix(node);
    return isTurning && matrixOf(this.#tensors.get(node.inputs[0] ?? '')) !== undefined;
  }

  /** The node as a look-up in a large table. */
  lookUp(node: Node): LookUp | undefined {
    const [first = '', ids = ''] = node.inputs;
    if (node.operator !== 'Gather' || this.#constant.has(ids) || axisOf(node) !== 0)
      return undefined;
    const table = matrixOf(this.#tensors.get(first));
    if (table === undefined || table.rows * table.columns < LEAST_TABLE) return undefined;
    return { node, table, ids };
  }
}

/** AttributeProto: name = 1, i = 3, g = 6, ints = 8. */
function attributesOf(node: Node): readonly (readonly Field[])[] {
  return node.attributes.flatMap((raw) => {
    const [field] = [...fieldsOf(Buffer.from(raw))];
    return field?.value instanceof Buffer ? [[...fieldsOf(field.value)]] : [];
  });
}

/** Whether a Transpose swaps the two dimensions of a matrix: as it does by default. */
function turnsMatrix(node: Node): boolean {
  const perm = attributesOf(node).find((fields) => stringsOf(fields, 1)[0] === 'perm');
  return perm === undefined || integersOf(perm, 8).join() === '1,0';
}

function axisOf(node: Node): number {
  const axis = attributesOf(node).find((fields) => stringsOf(fields, 1)[0] === 'axis');
  return axis === undefined ? 0 : (integersOf(axis, 3)[0] ?? 0);
}

/** Names of the values that a node's inner graphs read, such as the branches of an If. */
export function namesWithin(node: Node): readonly string[] {
  const inner = attributesOf(node).flatMap((fields) =>
    fields.flatMap(({ number, value }) => (number === 6 && value instanceof Buffer ? [value] : [])),
  );
  return inner.flatMap(namesInGraph);
}

/** GraphProto: node = 1; NodeProto: input = 1, attribute = 5. */
function namesInGraph(graph: Buffer): readonly string[] {
  return [...fieldsOf(graph)].flatMap(({ number, value }) => {
    if (number !== 1 || !(value instanceof Buffer)) return [];
    const fields = [...fieldsOf(value)];
    const inner = fields.flatMap((field) =>
      field.number === 5 && field.value instanceof Buffer
        ? [...fieldsOf(field.value)].flatMap((attribute) =>
            attribute.number === 6 && attribute.value instanceof Buffer
              ? namesInGraph(attribute.value)
              : [],
          )
        : [],
    );
    return [...stringsOf(fields, 1), ...inner];
  });
}
