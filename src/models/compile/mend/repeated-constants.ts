/**
 * ONNX Runtime writes a constant of a subgraph (a branch of `If`, a body of `Loop` or `Scan`) twice when it writes an
 * optimised graph with its weights in a file beside it, and then refuses what it wrote: "initializer name is not
 * unique". DeBERTa is exported with such a branch. Here the second ones are taken out. Field numbers are those of
 * onnx.proto.
 */
import { fieldsIn, withGraphs } from '../onnx/nested-graphs.js';
import type { Field } from '../onnx/protobuf-reader.js';

/** The model without what its subgraphs hold twice; undefined if they hold nothing twice. */
export function withoutRepeatedConstants(model: Buffer): readonly Uint8Array[] | undefined {
  let removed = 0;
  const written = withGraphs(model, (fields, isSubgraph) => {
    const kept = isSubgraph ? onceEach(fields) : fields;
    removed += fields.length - kept.length;
    return kept;
  });
  return removed === 0 ? undefined : written;
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
