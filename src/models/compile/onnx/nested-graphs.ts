/** The graph of an ONNX model and the graphs within it: branches of `If`, bodies of `Loop` and `Scan`. */
import { type Field, fieldsOf } from './protobuf-reader.js';
import { fieldHeader, totalBytes } from './protobuf-writer.js';
import { withGraph } from './rewrite.js';

/**
 * The model with other initializers, in parts. Field numbers are those of onnx.proto.
 *
 * @param convert is given the fields of each graph (GraphProto), and returns them as they shall be written
 * @throws Error if it is no ONNX model with one graph
 */
export function withGraphs(
  model: Buffer,
  convert: (graph: readonly Field[], isSubgraph: boolean) => readonly Field[],
): readonly Uint8Array[] {
  // GraphProto: node = 1.
  const graphOf = (fields: readonly Field[], isSubgraph: boolean): readonly Uint8Array[] =>
    convert(fields, isSubgraph).flatMap((field) =>
      field.number === 1 ? message(1, nodeOf(field)) : [field.raw],
    );
  /** NodeProto: attribute = 5. AttributeProto: g = 6, graphs = 11. */
  const nodeOf = ({ value }: Field): readonly Uint8Array[] =>
    fieldsIn(value).flatMap((field) =>
      field.number === 5
        ? message(
            5,
            fieldsIn(field.value).flatMap((part) =>
              part.number === 6 || part.number === 11
                ? message(part.number, graphOf(fieldsIn(part.value), true))
                : [part.raw],
            ),
          )
        : [field.raw],
    );
  return withGraph(model, (fields) => graphOf(fields, false));
}

export function fieldsIn(value: Field['value']): readonly Field[] {
  return typeof value === 'number' ? [] : [...fieldsOf(value)];
}

/** A field that holds a message of these parts. */
export function message(number: number, parts: readonly Uint8Array[]): readonly Uint8Array[] {
  return [fieldHeader(number, totalBytes(parts)), ...parts];
}
