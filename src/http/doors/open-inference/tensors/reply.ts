/** The reply to an inference request: JSON, and behind it the bytes of those outputs that were asked for in bytes. Pure. */
import type { Readable } from 'node:stream';
import { bestLabels } from '../../../../models/run/best-labels.js';
import { jsonSlices } from '../../../calls/json-slices.js';
import { LARGE_ANSWER_SCORES, slicedBody } from '../../../calls/slices.js';
import { bytesOf } from './binary-data.js';
import { invalid, type OutputTensor } from './datatypes.js';
import type { InferRequest, WantedOutput } from './request.js';

export interface InferReply {
  /** A large one is written in slices. */
  readonly body: Buffer | Readable;
  /** Length of the JSON part, for `Inference-Header-Content-Length`; undefined if that is all. */
  readonly jsonBytes: number | undefined;
}

/** Up to this part of a row's values the best are picked; else all are sorted. */
const FEW_OF = 8;

/** The only version that a model has. */
export const VERSION = '1';

/**
 * Which outputs a request gets, in which form: all of them, in the order of the model, if it names none.
 *
 * @param names of the outputs that its inputs lead to.
 * @throws PlimsollError INVALID_REQUEST if it names another one.
 */
export function outputsFor(
  { outputs, isBinary }: InferRequest,
  names: readonly string[],
): readonly WantedOutput[] {
  if (outputs === undefined || outputs.length === 0) {
    return names.map((name) => ({ name, isBinary, classes: undefined }));
  }
  for (const { name } of outputs) {
    if (names.includes(name)) continue;
    const known = names.join(', ');
    throw invalid(
      `these inputs give no output ${JSON.stringify(name.slice(0, 80))}; they give ${known}`,
    );
  }
  return outputs;
}

/** One output of a reply: as it is, or its best classes. */
export type Part = WantedOutput;

/**
 * The outputs of a request, checked.
 *
 * @param scored names of those that have a number for each label.
 * @throws PlimsollError INVALID_REQUEST where classes of another one are wanted.
 */
export function partsOf(
  wanted: readonly WantedOutput[],
  scored: readonly string[],
): readonly Part[] {
  for (const { name, classes } of wanted) {
    if (classes === undefined || scored.includes(name)) continue;
    throw invalid(
      `classification is for outputs with a number for each label, which ${name} is not`,
    );
  }
  return wanted;
}

/**
 * Writes the reply.
 *
 * @param tensors make the outputs, by their names: only those that are wanted are made.
 */
export function writeReply(
  {
    model,
    id,
    labels,
  }: {
    readonly model: string;
    readonly id: string | undefined;
    readonly labels: readonly string[];
  },
  parts: readonly Part[],
  tensors: Readonly<Record<string, () => OutputTensor>>,
): InferReply {
  const chunks: Buffer[] = [];
  let numbers = 0;
  const outputs = parts.flatMap(({ name: wanted, isBinary, classes }): readonly Output[] => {
    const made = tensors[wanted]?.();
    if (made === undefined) return [];
    const isScored = made.datatype === 'FP32' && classes !== undefined;
    const tensor = isScored ? classesOf(made, labels, classes) : made;
    const { name, datatype, shape } = tensor;
    if (!isBinary) {
      const data = tensor.datatype === 'FP32' ? tensor.numbers : tensor.texts;
      numbers += data.length;
      return [{ name, datatype, shape, data }];
    }
    const bytes = bytesOf(tensor);
    chunks.push(bytes);
    return [{ name, datatype, shape, parameters: { binary_data_size: bytes.length } }];
  });
  const named = id === undefined ? {} : { id };
  if (numbers > LARGE_ANSWER_SCORES && !parts.some(({ isBinary }) => isBinary)) {
    const head = JSON.stringify({ model_name: model, model_version: VERSION, ...named });
    return { body: slicedBody(outputSlices(head, outputs)), jsonBytes: undefined };
  }
  const json = { model_name: model, model_version: VERSION, ...named, outputs };
  const head = Buffer.from(JSON.stringify(json));
  if (!parts.some(({ isBinary }) => isBinary)) return { body: head, jsonBytes: undefined };
  return { body: Buffer.concat([head, ...chunks]), jsonBytes: head.length };
}

/** One output as it stands in the JSON. */
interface Output {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data?: readonly (number | string)[];
  readonly parameters?: { readonly binary_data_size: number };
}

function* outputSlices(head: string, outputs: readonly Output[]): Generator<string, void> {
  yield `${head.slice(0, -1)},"outputs":[`;
  for (const [index, { data = [], ...of }] of outputs.entries()) {
    const open = JSON.stringify(of).slice(0, -1);
    yield* jsonSlices(data, `${index === 0 ? '' : ','}${open},"data":`, '}');
  }
  yield ']}';
}

/**
 * The classification extension: in place of a row's numbers its best classes as `value:index:label`, the best first.
 * A row has no more than it has labels.
 *
 * @param tensor of the shape [rows, labels].
 */
export function classesOf(
  tensor: Extract<OutputTensor, { readonly datatype: 'FP32' }>,
  labels: readonly string[],
  classes: number,
): OutputTensor {
  const [rows = 0] = tensor.shape;
  const width = labels.length;
  const kept = Math.min(classes, width);
  const texts: string[] = [];
  for (let row = 0; row < rows; row += 1) {
    const values = tensor.numbers.slice(row * width, (row + 1) * width);
    for (const index of bestOf(values, kept)) {
      texts.push(`${values[index] ?? 0}:${index}:${labels[index] ?? ''}`);
    }
  }
  return { name: tensor.name, datatype: 'BYTES', shape: [rows, kept], texts };
}

/** Indexes of the largest values, the largest first; equal ones in their order. To sort them all for a few takes ten times as long. */
function bestOf(values: readonly number[], count: number): readonly number[] {
  if (count * FEW_OF < values.length)
    return bestLabels(Float64Array.from(values), 'none', count).labels;
  // Sorting is stable.
  const all = Array.from(values, (_, index) => index);
  return all.sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0)).slice(0, count);
}
