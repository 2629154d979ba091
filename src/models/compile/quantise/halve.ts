/**
 * A model in half precision, as the `model_fp16.onnx` of Hugging Face repositories: every float32 of the graph
 * becomes a float16, and the outputs are turned back.
 */
import { dataTypes, initializerHeader, nodeField } from '../onnx/messages.js';
import { type Field, fieldsOf, stringsOf } from '../onnx/protobuf-reader.js';
import { integerField, messageField, stringField } from '../onnx/protobuf-writer.js';
import { convertFile, type Node, nodeOf, tensorOf, withGraph } from '../onnx/rewrite.js';

export function halveFile(source: string, target: string): Promise<void> {
  return convertFile(source, target, halve);
}

/**
 * @param outputs some converters turn the outputs back, others leave them as halves
 * @throws Error if it is no ONNX model with one graph
 */
export function halve(
  model: Buffer,
  outputs: 'float' | 'float16' = 'float',
): readonly Uint8Array[] {
  return withGraph(model, (graph) => halveGraph(graph, outputs));
}

function halveGraph(fields: readonly Field[], type: 'float' | 'float16'): readonly Uint8Array[] {
  // GraphProto: node = 1, initializer = 5, output = 12 (ValueInfoProto: name = 1).
  const outputs = new Set(
    fields.flatMap(({ number, value }) =>
      number === 12 && value instanceof Buffer ? stringsOf([...fieldsOf(value)], 1) : [],
    ),
  );
  return fields.flatMap((field) => {
    if (field.number === 1) return halvedNode(nodeOf(field), type === 'float' ? outputs : NONE);
    if (field.number === 12 && type === 'float16') return [halvedOutput(field)];
    if (field.number === 5) return halvedTensor(field);
    return [field.raw];
  });
}

const NONE: ReadonlySet<string> = new Set();

/** The output's name with its new type, and no shape: ONNX Runtime infers it. */
function halvedOutput({ value }: Field): Uint8Array {
  const [name = ''] = value instanceof Buffer ? stringsOf([...fieldsOf(value)], 1) : [];
  const tensor = messageField(1, [integerField(1, dataTypes.float16)]);
  return messageField(12, [stringField(1, name), messageField(2, [tensor])]);
}

function halvedNode(node: Node, outputs: ReadonlySet<string>): readonly Uint8Array[] {
  const [output = ''] = node.outputs;
  const isOutput = outputs.has(output);
  // Casts to float32 (a mask's) have to give what the rest of the graph is in.
  const isCast = node.operator === 'Cast';
  if (!isOutput && !isCast) return [node.raw];
  const own = isOutput ? `${output}_half` : output;
  const { operator, name, inputs } = node;
  const attributes = isCast ? { to: dataTypes.float16 } : {};
  const more = isCast ? [] : node.attributes;
  const halved = nodeField({ operator, name, inputs, output: own, attributes }, more);
  if (!isOutput) return [halved];
  const back = { operator: 'Cast', name: `${output}_single`, inputs: [own], output };
  return [halved, nodeField({ ...back, attributes: { to: dataTypes.float } })];
}

function halvedTensor(field: Field): readonly Uint8Array[] {
  const { name, shape, weights } = tensorOf(field);
  const values = weights();
  if (values === undefined) return [field.raw];
  const halves = halfBits(values);
  const data = new Uint8Array(halves.buffer, halves.byteOffset, halves.byteLength);
  return [initializerHeader(name, 'float16', shape, data.byteLength), data];
}

/** IEEE 754 binary32 to binary16, to the nearest, ties to even. */
export function halfBits(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(bits, (word) => {
    const sign = (word >>> 16) & 0x8000;
    const exponent = ((word >>> 23) & 0xff) - 112;
    const fraction = word & 0x7fffff;
    if (exponent === 255 - 112) return sign | 0x7c00 | (fraction === 0 ? 0 : 0x200);
    if (exponent >= 31) return sign | 0x7c00;
    if (exponent < -10) return sign;
    // Below 2^-14 the leading one is written out, and what it is shifted by grows.
    const shift = exponent > 0 ? 13 : 14 - exponent;
    const whole = exponent > 0 ? (exponent << 23) | fraction : fraction | 0x800000;
    const kept = whole >>> shift;
    const rest = whole & ((1 << shift) - 1);
    const middle = 1 << (shift - 1);
    // A carry out of the fraction goes into the exponent, as it should.
    const up = rest > middle || (rest === middle && (kept & 1) === 1) ? 1 : 0;
    return sign | (kept + up);
  });
}
