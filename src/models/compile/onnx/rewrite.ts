/** Nodes and initializers of an ONNX model, read and replaced. Field numbers are those of onnx.proto. */
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dataTypes, type FileRange } from './messages.js';
import { type Field, fieldsOf, integersOf, stringsOf } from './protobuf-reader.js';
import { fieldHeader, totalBytes } from './protobuf-writer.js';

export interface Node {
  readonly operator: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** As they were written. */
  readonly attributes: readonly Uint8Array[];
  readonly raw: Uint8Array;
}

export interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Undefined if its values are not float32 in `raw_data`. */
  readonly weights: () => Float32Array | undefined;
  /** Element type: a value of `TensorProto.DataType`. */
  readonly type: number | undefined;
  /** Its values in the message, little-endian; undefined where they lie elsewhere. */
  readonly data: Buffer | undefined;
  /** The part of another file that holds its values. */
  readonly external: FileRange | undefined;
  readonly raw: Uint8Array;
}

/** Writes a model's other form under a temporary name, then renames it. */
export async function convertFile(
  source: string,
  target: string,
  convert: (model: Buffer) => readonly Uint8Array[],
): Promise<void> {
  const temporary = `${target}.${process.pid}.tmp`;
  const chunks = convert(await readFile(source));
  try {
    const file = await open(temporary, 'w');
    try {
      // One after another: joined, they would be in memory twice.
      for (const chunk of chunks) await file.writeFile(chunk);
    } finally {
      await file.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** The model with another graph, in parts. @throws Error if it is no ONNX model with one graph */
export function withGraph(
  model: Buffer,
  convert: (graph: readonly Field[]) => readonly Uint8Array[],
): readonly Uint8Array[] {
  const fields = [...fieldsOf(model)];
  const graph = fields.find(({ number }) => number === 7)?.value;
  if (!(graph instanceof Buffer)) throw new Error('the model has no graph');
  const body = convert([...fieldsOf(graph)]);
  return fields.flatMap(({ number, raw }) =>
    number === 7 ? [fieldHeader(7, totalBytes(body)), ...body] : [raw],
  );
}

/** NodeProto: input = 1, output = 2, name = 3, op_type = 4, attribute = 5. */
export function nodeOf({ value, raw }: Field): Node {
  const fields = value instanceof Buffer ? [...fieldsOf(value)] : [];
  const [name = ''] = stringsOf(fields, 3);
  const [operator = ''] = stringsOf(fields, 4);
  const attributes = fields.filter(({ number }) => number === 5).map((field) => field.raw);
  const [inputs, outputs] = [stringsOf(fields, 1), stringsOf(fields, 2)];
  return { operator, name, inputs, outputs, attributes, raw };
}

/** TensorProto: dims = 1, data_type = 2, name = 8, raw_data = 9, external_data = 13. */
export function tensorOf({ value, raw }: Field): Tensor {
  const fields = value instanceof Buffer ? [...fieldsOf(value)] : [];
  const [name = ''] = stringsOf(fields, 8);
  const [type] = integersOf(fields, 2);
  const data = fields.find(({ number }) => number === 9)?.value;
  const weights = () => {
    if (type !== dataTypes.float || !(data instanceof Buffer)) return undefined;
    // A copy: the bytes of a message are not aligned.
    return new Float32Array(Uint8Array.from(data).buffer);
  };
  const bytes = data instanceof Buffer ? data : undefined;
  const shape = integersOf(fields, 1);
  return { name, shape, weights, raw, type, data: bytes, external: externalOf(fields) };
}

/** StringStringEntryProto: key = 1, value = 2. Without a length, the values reach to the file's end. */
function externalOf(fields: readonly Field[]): FileRange | undefined {
  const entries = fields.flatMap(({ number, value }) => {
    if (number !== 13 || !(value instanceof Buffer)) return [];
    const pair = [...fieldsOf(value)];
    return [[stringsOf(pair, 1)[0] ?? '', stringsOf(pair, 2)[0] ?? ''] as const];
  });
  const { location, offset = '0', length = '-1' } = Object.fromEntries(entries);
  if (location === undefined) return undefined;
  return { file: location, offset: Number(offset), length: Number(length) };
}
