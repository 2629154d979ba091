/**
 * ONNX Runtime writes a constant of a subgraph (a branch of `If`, a body of `Loop` or `Scan`) twice when it writes an
 * optimised graph with its weights in a file beside it, and then refuses what it wrote: "initializer name is not
 * unique". DeBERTa is exported with such a branch. Here the second ones are taken out. Field numbers are those of
 * onnx.proto.
 */
import { type Field, fieldsOf } from './onnx/protobuf-reader.js';
import { fieldHeader, totalBytes } from './onnx/protobuf-writer.js';
import { withGraph } from './onnx/rewrite.js';

/** The model without what its subgraphs hold twice; undefined if they hold nothing twice. */
export function withoutRepeatedConstants(model: Buffer): readonly Uint8Array[] | undefined {
  let removed = 0;
  const graphOf = (fields: readonly Field[], isSubgraph: boolean): readonly Uint8Array[] => {
    const kept = isSubgraph ? onceEach(fields) : fields;
    removed += fields.length - kept.length;
    // GraphProto: node = 1.
    return kept.flatMap((field) => (field.number === 1 ? message(1, nodeOf(field)) : [field.raw]));
  };
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
  const written = withGraph(model, (fields) => graphOf(fields, false));
  return removed === 0 ? undefined : written;
}

function fieldsIn(value: Field['value']): readonly Field[] {
  return typeof value === 'number' ? [] : [...fieldsOf(value)];
}

function message(number: number, parts: readonly Uint8Array[]): readonly Uint8Array[] {
  return [fieldHeader(number, totalBytes(parts)), ...parts];
}

/**
 * GraphProto: initializer = 5. TensorProto: name = 8, external_data = 13. Of two with one name the one stays whose
 * values lie in the file beside the graph, as those are mapped; else the first.
 */
function onceEach(fields: readonly Field[]): readonly Field[] {
  const best = new Map<string, { readonly field: Field; readonly isExternal: boolean }>();
  for (const field of fields) {
    if (field.number !== 5) continue;
    const parts = fieldsIn(field.value);
    const name = parts.find(({ number }) => number === 8)?.value;
    const key = typeof name === 'object' ? name.toString('latin1') : '';
    const isExternal = parts.some(({ number }) => number === 13);
    const known = best.get(key);
    if (known === undefined || (isExternal && !known.isExternal)) {
      best.set(key, { field, isExternal });
    }
  }
  const kept = new Set([...best.values()].map(({ field }) => field));
  return fields.filter((field) => field.number !== 5 || kept.has(field));
}
