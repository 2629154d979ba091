/**
 * The ONNX messages that models are written with. Field numbers and enumeration values are those of
 * onnx.proto (package `onnx`, proto2 syntax), cited beside each use.
 */
import {
  concat,
  fieldHeader,
  floatField,
  integerField,
  messageField,
  stringField,
} from './protobuf-writer.js';

/** Opset of the default domain: the first one with a standard LayerNormalization operator. */
const OPSET_VERSION = 17;
/** ModelProto.ir_version that opset 17 was released with (`Version.IR_VERSION_2021_7_30`). */
const IR_VERSION = 8;

/** Element types used here: values of `TensorProto.DataType`. */
export const dataTypes = {
  float: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
} as const;

/** Name of an element type. */
export type DataType = keyof typeof dataTypes;

/** Size of one element, in bytes. */
export const elementBytes: Readonly<Record<DataType, number>> = {
  float: 4,
  uint8: 1,
  int8: 1,
  int32: 4,
  int64: 8,
  bool: 1,
  float16: 2,
};

/** Value of a node's attribute: an integer, a float (wrapped, to tell it from one) or integers. */
export type AttributeValue = number | { readonly float: number } | readonly number[];

/** A node of the graph: operator, inputs and outputs. */
export interface NodeDescription {
  readonly operator: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly output: string | readonly string[];
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

/** A graph input or output; a string stands for a dimension only known when the model runs. */
export interface ValueDescription {
  readonly name: string;
  readonly type: DataType;
  readonly shape: readonly (number | string)[];
}

// AttributeProto: name = 1, f = 2, i = 3, ints = 8, type = 20 (FLOAT = 1, INT = 2, INTS = 7).
function attribute(name: string, value: AttributeValue): Uint8Array[] {
  if (typeof value === 'number') {
    return [stringField(1, name), integerField(3, value), integerField(20, 2)];
  }
  if ('float' in value) {
    return [stringField(1, name), floatField(2, value.float), integerField(20, 1)];
  }
  const integers = value.map((item) => integerField(8, item));
  return [stringField(1, name), ...integers, integerField(20, 7)];
}

/** GraphProto.node (1), NodeProto: input = 1, output = 2, name = 3, op_type = 4, attribute = 5. */
export function nodeField(node: NodeDescription, more: readonly Uint8Array[] = []): Uint8Array {
  return messageField(1, [
    ...node.inputs.map((input) => stringField(1, input)),
    ...[node.output].flat().map((output) => stringField(2, output)),
    stringField(3, node.name),
    stringField(4, node.operator),
    ...Object.entries(node.attributes).map(([name, value]) =>
      messageField(5, attribute(name, value)),
    ),
    ...more,
  ]);
}

const valueFields = { input: 11, output: 12, value: 13 } as const;

/**
 * GraphProto.input (11), output (12) or value_info (13), a ValueInfoProto: name = 1, type = 2.
 * TypeProto: tensor_type = 1. TypeProto.Tensor: elem_type = 1, shape = 2.
 * TensorShapeProto: dim = 1. TensorShapeProto.Dimension: dim_value = 1, dim_param = 2.
 */
export function valueField(kind: keyof typeof valueFields, value: ValueDescription): Uint8Array {
  const dimensions = value.shape.map((size) =>
    messageField(1, [typeof size === 'number' ? integerField(1, size) : stringField(2, size)]),
  );
  const tensor = [integerField(1, dataTypes[value.type]), messageField(2, dimensions)];
  return messageField(valueFields[kind], [
    stringField(1, value.name),
    messageField(2, [messageField(1, tensor)]),
  ]);
}

/**
 * Everything of a GraphProto.initializer (5) up to its data, which the caller writes right after
 * (`byteLength` bytes, little-endian, row-major).
 * TensorProto: dims = 1, data_type = 2, name = 8, raw_data = 9.
 */
export function initializerHeader(
  name: string,
  type: DataType,
  shape: readonly number[],
  byteLength: number,
): Uint8Array {
  const head = concat([
    ...shape.map((size) => integerField(1, size)),
    integerField(2, dataTypes[type]),
    stringField(8, name),
    fieldHeader(9, byteLength),
  ]);
  return concat([fieldHeader(5, head.byteLength + byteLength), head]);
}

/** Bytes of a file that hold a tensor's values: little-endian, row-major. */
export interface FileRange {
  /** Name of the file, relative to the folder that ONNX Runtime is told to look in. */
  readonly file: string;
  readonly offset: number;
  readonly length: number;
}

/**
 * A whole GraphProto.initializer (5) whose values lie in another file.
 * TensorProto: dims = 1, data_type = 2, name = 8, external_data = 13, data_location = 14 (EXTERNAL = 1).
 * StringStringEntryProto: key = 1, value = 2.
 */
export function externalInitializer(
  name: string,
  type: DataType,
  shape: readonly number[],
  range: FileRange,
): Uint8Array {
  const entry = (key: string, value: string | number) =>
    messageField(13, [stringField(1, key), stringField(2, String(value))]);
  return messageField(5, [
    ...shape.map((size) => integerField(1, size)),
    integerField(2, dataTypes[type]),
    stringField(8, name),
    entry('location', range.file),
    entry('offset', range.offset),
    entry('length', range.length),
    integerField(14, 1),
  ]);
}

/** GraphProto.name (2). */
export function graphNameField(name: string): Uint8Array {
  return stringField(2, name);
}

/**
 * Everything of a ModelProto up to its graph, which the caller writes right after (`graphBytes`
 * bytes). ModelProto: ir_version = 1, producer_name = 2, graph = 7, opset_import = 8.
 * OperatorSetIdProto: version = 2 (the domain is left empty: the default one).
 */
export function modelHeader(producer: string, graphBytes: number): Uint8Array {
  return concat([
    integerField(1, IR_VERSION),
    stringField(2, producer),
    messageField(8, [integerField(2, OPSET_VERSION)]),
    fieldHeader(7, graphBytes),
  ]);
}
