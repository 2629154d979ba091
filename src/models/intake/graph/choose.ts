import path from 'node:path';
import { type Dtype, dtypeNamed, dtypeOf } from '../dtype.js';
import type { GraphFacts } from './graph-facts.js';

/** An ONNX file of a model's folder. */
export interface GraphFile {
  /** Below the model's folder. */
  readonly file: string;
  readonly bytes: number;
  readonly dtype: Dtype;
  /** Undefined if its content cannot be read; then `problem` says why. */
  readonly facts: GraphFacts | undefined;
  readonly problem?: string;
}

export function graphFile(
  file: string,
  bytes: number,
  facts: GraphFacts | undefined,
  problem?: string,
): GraphFile {
  const dtype = facts === undefined ? dtypeNamed(file) : dtypeOf(facts);
  return { file, bytes, dtype, facts, ...(problem === undefined ? {} : { problem }) };
}

/** Outputs of an encoder alone, whatever their shape. */
const ENCODER_OUTPUT = /hidden|pool|embed|attention|attn|state|past|present|cache|encoder|loss/i;

/** Names of inputs that only generating models, or parts of them, have. */
const DECODER_INPUT = /past_key_values|past_\d|encoder_hidden_states|use_cache_branch|pixel_values/;

/**
 * The graphs of a folder that may be served, the best first.
 *
 * 1. Its content can be read, its inputs are those of an encoder, and it has an output that is more than an encoder's. A
 *    checkpoint is read when it is compiled.
 * 2. Its dtype, in the order that was asked for.
 * 3. Its place: `onnx/`, then beside config.json, then any other folder.
 * 4. Its name: `model.onnx` first, as ONNX Runtime optimises it here, for this CPU; then the shorter one.
 *
 * @param wanted dtypes that may be served, the best first; others are left out.
 */
export function rankGraphs(
  graphs: readonly GraphFile[],
  wanted: readonly Dtype[],
): readonly GraphFile[] {
  const rank = ({ file, dtype, facts }: GraphFile): readonly number[] => [
    facts === undefined && file.endsWith('.onnx') ? 1 : 0, // 1
    facts?.inputs.some((name) => DECODER_INPUT.test(name)) === true ? 1 : 0,
    facts?.outputs.every((name) => ENCODER_OUTPUT.test(name)) === true ? 1 : 0,
    wanted.indexOf(dtype), // 2
    placeRank(path.dirname(file)), // 3
    path.basename(file) === 'model.onnx' ? 0 : path.basename(file).length, // 4
  ];
  return graphs
    .filter(({ dtype }) => wanted.includes(dtype))
    .map((graph) => ({ graph, rank: rank(graph) }))
    .sort((a, b) => compare(a.rank, b.rank) || (a.graph.file < b.graph.file ? -1 : 1))
    .map(({ graph }) => graph);
}

function placeRank(folder: string): number {
  if (folder === 'onnx') return 0;
  return folder === '.' ? 1 : 2;
}

function compare(left: readonly number[], right: readonly number[]): number {
  const at = left.findIndex((value, index) => value !== right[index]);
  return at < 0 ? 0 : (left[at] ?? 0) - (right[at] ?? 0);
}

/** Why the first of the ranked graphs was taken, in one line. */
export function whyChosen(ranked: readonly GraphFile[], wanted: readonly Dtype[]): string {
  const [best, ...others] = ranked;
  if (best === undefined) return 'there is none';
  if (others.length === 0) return 'it is the only graph that can be taken';
  const rest = others.map(({ file, dtype }) => `${file} (${dtype})`).join(', ');
  const order =
    wanted.length > 1 ? `the order is ${wanted.join(', ')}` : `${wanted[0]} was asked for`;
  return `${order}; of one dtype onnx/ comes first, and model.onnx; also there: ${rest}`;
}
