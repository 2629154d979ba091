/**
 * What an ONNX file says about itself, read without its weights. Field numbers and enumeration values are those of
 * onnx.proto (package `onnx`), cited beside each use.
 */
import { openFile } from '../folder/files.js';
import { type FieldPlace, fieldsIn, integersIn, WireCursor } from './wire-cursor.js';

export interface GraphFacts {
  /** Bytes of all weights by element type, a value of `TensorProto.DataType`. */
  readonly weightBytes: ReadonlyMap<number, number>;
  /** Those of tables that are only looked up (`Gather`), as embeddings are. */
  readonly tableBytes: ReadonlyMap<number, number>;
  /** Operators that the graph uses, without their domains. */
  readonly operators: ReadonlySet<string>;
  /** Bits of the weights of block-quantised products (`MatMulNBits`, `MatMulBnb4`), if there are any. */
  readonly blockBits: number | undefined;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** The operator that makes each output, looking through those that only rename or reshape it. */
  readonly madeBy: ReadonlyMap<string, string>;
  /** Files that hold weights, as the graph names them: relative to its own folder. */
  readonly externalFiles: readonly string[];
}

/** Far more than the largest real graphs have: some 100,000. */
const MAX_FIELDS = 5_000_000;
/** A node's operator and inputs come before its attributes, which may be large. */
const NODE_HEAD_BYTES = 32 * 1024;
const TENSOR_HEAD_BYTES = 4 * 1024;

/**
 * Reads the facts of an ONNX file.
 *
 * @throws NoFileError if it is no file
 * @throws Error if it is no ONNX model
 */
export async function readGraphFacts(file: string): Promise<GraphFacts> {
  const { handle, facts } = await openFile(file);
  try {
    if (facts.size === 0) throw new Error('it is empty');
    const cursor = new WireCursor(handle, facts.size, MAX_FIELDS);
    const found = new Found();
    let graphs = 0;
    // ModelProto: graph = 7, functions = 25.
    for await (const field of cursor.fields(0, facts.size)) {
      if (field.number !== 7 || field.integer !== undefined) continue;
      graphs += 1;
      await readGraph(cursor, field, found);
    }
    if (graphs !== 1) throw new Error('it is no ONNX model');
    return found.facts();
  } finally {
    await handle.close();
  }
}

/** GraphProto: node = 1, initializer = 5, input = 11, output = 12. */
async function readGraph(cursor: WireCursor, graph: FieldPlace, found: Found): Promise<void> {
  const end = graph.start + graph.length;
  for await (const field of cursor.fields(graph.start, end)) {
    if (field.number === 1) found.addNode(await cursor.head(field, NODE_HEAD_BYTES));
    if (field.number === 5) found.addTensor(await cursor.head(field, TENSOR_HEAD_BYTES));
    if (field.number === 11) found.inputs.push(nameIn(await cursor.head(field, TENSOR_HEAD_BYTES)));
    if (field.number === 12) {
      found.outputs.push(nameIn(await cursor.head(field, TENSOR_HEAD_BYTES)));
    }
  }
}

/** ValueInfoProto: name = 1. */
function nameIn(value: Buffer): string {
  for (const { number, bytes } of fieldsIn(value)) if (number === 1) return bytes.toString('utf8');
  return '';
}

/** Operators that pass a value on in another shape, type or name. */
const PASSING = new Set([
  ...['Identity', 'Cast', 'Squeeze', 'Unsqueeze', 'Reshape', 'Flatten'],
  ...['QuantizeLinear', 'DequantizeLinear'],
]);
/** How far back from an output such operators are followed. */
const MOST_PASSED = 8;

/** Bits of one element by `TensorProto.DataType`; of the others 32. */
const ELEMENT_BITS: Readonly<Record<number, number>> = {
  ...{ 1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64 },
  ...{ 16: 16, 17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4 },
};

/** What has been read so far. */
class Found {
  readonly inputs: string[] = [];
  readonly outputs: string[] = [];
  readonly #weightBytes = new Map<number, number>();
  readonly #operators = new Set<string>();
  readonly #externalFiles = new Set<string>();
  readonly #initializers = new Map<string, { readonly type: number; readonly bytes: number }>();
  readonly #tables = new Set<string>();
  /** By each value that a node makes: its operator, and the first of its inputs. */
  readonly #makers = new Map<string, { readonly operator: string; readonly from: string }>();
  #blockBits: number | undefined;

  facts(): GraphFacts {
    const madeBy = new Map(this.outputs.map((output) => [output, this.#makerOf(output)]));
    return {
      weightBytes: this.#weightBytes,
      tableBytes: this.#tableBytes(),
      operators: this.#operators,
      blockBits: this.#blockBits,
      // Before IR version 4 each initializer was listed as an input as well.
      inputs: this.inputs.filter((name) => !this.#initializers.has(name)),
      outputs: this.outputs,
      madeBy,
      externalFiles: [...this.#externalFiles],
    };
  }

  /** NodeProto: input = 1, output = 2, op_type = 4, attribute = 5. */
  addNode(head: Buffer): void {
    let operator = '';
    let from = '';
    const outputs: string[] = [];
    for (const { number, bytes } of fieldsIn(head)) {
      if (number === 1 && from === '') from = bytes.toString('utf8');
      if (number === 2) outputs.push(bytes.toString('utf8'));
      if (number === 4) operator = bytes.toString('utf8');
      if (number === 5) this.#addAttribute(operator, bytes);
    }
    this.#operators.add(operator);
    if (operator === 'Gather') this.#tables.add(from);
    if (operator === 'MatMulNBits' || operator === 'MatMulBnb4') this.#blockBits ??= 4;
    for (const output of outputs) this.#makers.set(output, { operator, from });
  }

  /** AttributeProto: name = 1, i = 3, t = 5. */
  #addAttribute(operator: string, attribute: Buffer): void {
    let name = '';
    for (const { number, bytes, integer } of fieldsIn(attribute)) {
      if (number === 1) name = bytes.toString('utf8');
      if (number === 3 && name === 'bits' && operator === 'MatMulNBits') this.#blockBits = integer;
      if (number === 5 && operator === 'Constant') this.addTensor(bytes);
    }
  }

  /** TensorProto: dims = 1, data_type = 2, name = 8, external_data = 13. */
  addTensor(head: Buffer): void {
    let elements = 1;
    let type = 0;
    let name = '';
    for (const field of fieldsIn(head)) {
      if (field.number === 1) for (const size of integersIn(field)) elements *= size;
      if (field.number === 2) type = field.integer ?? 0;
      if (field.number === 8) name = field.bytes.toString('utf8');
      if (field.number === 13) this.#addExternal(field.bytes);
    }
    const bytes = (elements * (ELEMENT_BITS[type] ?? 32)) / 8;
    if (name !== '') this.#initializers.set(name, { type, bytes });
    this.#weightBytes.set(type, (this.#weightBytes.get(type) ?? 0) + bytes);
  }

  /** StringStringEntryProto: key = 1, value = 2. */
  #addExternal(entry: Buffer): void {
    const [key, value] = [...fieldsIn(entry)].map(({ bytes }) => bytes.toString('utf8'));
    if (key === 'location' && value !== undefined) this.#externalFiles.add(value);
  }

  #tableBytes(): ReadonlyMap<number, number> {
    const found = new Map<number, number>();
    for (const name of this.#tables) {
      const table = this.#initializers.get(name);
      if (table !== undefined) found.set(table.type, (found.get(table.type) ?? 0) + table.bytes);
    }
    return found;
  }

  #makerOf(output: string): string {
    let maker = this.#makers.get(output);
    for (let passed = 0; passed < MOST_PASSED; passed += 1) {
      if (maker === undefined || !PASSING.has(maker.operator)) break;
      maker = this.#makers.get(maker.from);
    }
    return maker?.operator ?? '';
  }
}
