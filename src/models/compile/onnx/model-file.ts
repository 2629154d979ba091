/** Encodes a described graph as an ONNX file: weights stay in the files that they lie in. */
import type { GraphBuilder, Initializer } from './graph-builder.js';
import {
  externalInitializer,
  graphNameField,
  initializerHeader,
  modelHeader,
  nodeField,
  type ValueDescription,
  valueField,
} from './messages.js';
import { concat, totalBytes } from './protobuf-writer.js';

/** A graph with its inputs and outputs. */
export interface ModelDescription {
  readonly name: string;
  readonly producer: string;
  readonly graph: GraphBuilder;
  readonly inputs: readonly ValueDescription[];
  readonly outputs: readonly ValueDescription[];
}

/**
 * The whole file. It is held in memory: only constants are in it, some kilobytes for a transformer.
 *
 * @throws Error if an initializer has no values (random ones are for generated benchmarks).
 */
export function encodeModel(model: ModelDescription): Uint8Array {
  const body = [
    graphNameField(model.name),
    ...model.inputs.map((value) => valueField('input', value)),
    ...model.outputs.map((value) => valueField('output', value)),
    ...model.graph.declared.map((value) => valueField('value', value)),
    ...model.graph.nodes.map((node) => nodeField(node)),
    ...model.graph.initializers.flatMap(encodeInitializer),
  ];
  return concat([modelHeader(model.producer, totalBytes(body)), ...body]);
}

function encodeInitializer({ name, type, shape, source }: Initializer): readonly Uint8Array[] {
  switch (source.kind) {
    case 'bytes':
      return [initializerHeader(name, type, shape, source.bytes.byteLength), source.bytes];
    case 'external':
      return [externalInitializer(name, type, shape, source)];
    case 'random':
      throw new Error(`the initializer ${name} has no values`);
  }
}
