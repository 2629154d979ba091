import path from 'node:path';
import type { GraphFacts } from './graph/graph-facts.js';

/**
 * Type of a model's weights: floating point of 32, 16 (`fp16`, `bf16`) or 64 bits, or quantised to 8 or to 4 bits.
 * It is told from what the graph holds; file names only break ties.
 */
export type Dtype = 'fp32' | 'fp16' | 'bf16' | 'fp64' | 'q8' | 'q4';

/** The graph's usual file of each, as Hugging Face repositories name them. */
const GRAPH_NAMES: Readonly<Record<Dtype, string>> = {
  fp32: 'model.onnx',
  fp16: 'model_fp16.onnx',
  bf16: 'model_bf16.onnx',
  fp64: 'model_fp64.onnx',
  q8: 'model_quantized.onnx',
  q4: 'model_q4.onnx',
};

/**
 * What is taken where a model has several and nobody asked for one: the most exact first, as the faster ones have to
 * agree with it before they serve (`compile/verify`). ONNX Runtime has no half-precision products for x86: it turns
 * fp16 weights into fp32 on every run, so they save mapped bytes but no time.
 */
export const BEST_FIRST: readonly Dtype[] = ['fp32', 'fp64', 'fp16', 'bf16', 'q8', 'q4'];

/** Where the graph of that type usually lies below a model's folder. */
export function graphFileOf(dtype: Dtype): string {
  return path.join('onnx', GRAPH_NAMES[dtype]);
}

/** Operators that compute with 8-bit integers, or turn them into floating point. */
const EIGHT_BIT_OPERATORS = [
  ...['DequantizeLinear', 'DynamicQuantizeLinear', 'MatMulInteger', 'ConvInteger'],
  ...['QLinearMatMul', 'QLinearConv', 'QGemm', 'QAttention', 'QEmbedLayerNormalization'],
  ...['DynamicQuantizeMatMul', 'MatMulIntegerToFloat', 'DynamicQuantizeLSTM'],
];
/** A few 8-bit constants are no quantised model. */
const LEAST_SHARE = 0.1;

/** Values of `TensorProto.DataType` (onnx.proto). */
const TYPE = { float: 1, uint8: 2, int8: 3, half: 10, double: 11, bfloat: 16, uint4: 21, int4: 22 };

/**
 * The type of a graph's weights.
 *
 * 1. Products of blocks of few bits, or weights of 4 bits: q4, or q8 if the blocks have 8 bits.
 * 2. Operators on 8-bit integers, and a tenth of the weights or more in them: q8. Embeddings in floating point do not
 *    count: quantisers often leave them as they are, and in a small model they are most of the bytes.
 * 3. Otherwise the floating-point type that most bytes of the weights have.
 */
export function dtypeOf({ weightBytes, tableBytes, operators, blockBits }: GraphFacts): Dtype {
  const bytesOf = (...types: readonly number[]) =>
    types.reduce((sum, type) => sum + (weightBytes.get(type) ?? 0), 0);
  if (blockBits !== undefined) return blockBits > 4 ? 'q8' : 'q4'; // 1
  const floatTypes = [TYPE.float, TYPE.half, TYPE.double, TYPE.bfloat];
  const tables = floatTypes.reduce((sum, type) => sum + (tableBytes.get(type) ?? 0), 0);
  const all = bytesOf(...weightBytes.keys()) - tables;
  if (bytesOf(TYPE.uint4, TYPE.int4) > LEAST_SHARE * all) return 'q4';
  const isQuantised = EIGHT_BIT_OPERATORS.some((operator) => operators.has(operator));
  if (isQuantised && bytesOf(TYPE.uint8, TYPE.int8) > LEAST_SHARE * all) return 'q8'; // 2
  const floats: readonly (readonly [Dtype, number])[] = [
    ['fp32', bytesOf(TYPE.float)],
    ['fp16', bytesOf(TYPE.half)],
    ['bf16', bytesOf(TYPE.bfloat)],
    ['fp64', bytesOf(TYPE.double)],
  ];
  return floats.reduce((most, each) => (each[1] > most[1] ? each : most))[0]; // 3
}

/** A guess from the file's name, for a graph that cannot be read. */
export function dtypeNamed(file: string): Dtype {
  const name = path.basename(file).toLowerCase();
  if (/q4|bnb4|int4/.test(name)) return 'q4';
  if (/quant|int8|q8/.test(name)) return 'q8';
  if (/bf16|bfloat16/.test(name)) return 'bf16';
  if (/fp64|float64|double/.test(name)) return 'fp64';
  // Optimum's level O4 is O3 in half precision.
  return /fp16|float16|half|_o4\b/.test(name) ? 'fp16' : 'fp32';
}
