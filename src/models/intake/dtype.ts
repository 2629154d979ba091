import path from 'node:path';

/** Type of a model's weights: as trained, halved, or quantised to 8-bit integers (dynamically). */
export type Dtype = 'fp32' | 'fp16' | 'q8';

/** The graph's file for each, as Hugging Face repositories name them. */
const GRAPH_NAMES: Readonly<Record<Dtype, string>> = {
  fp32: 'model.onnx',
  fp16: 'model_fp16.onnx',
  q8: 'model_quantized.onnx',
};

/**
 * What is taken where a model has several: fastest first on a CPU (`npm run bench -- gears`). ONNX
 * Runtime has no half-precision products for x86: it turns fp16 weights into fp32 on every run, so they save
 * mapped bytes but no time.
 */
export const BEST_FIRST: readonly Dtype[] = ['q8', 'fp32', 'fp16'];

/** Where the graph of that type lies below a model's folder. */
export function graphFileOf(dtype: Dtype): string {
  return path.join('onnx', GRAPH_NAMES[dtype]);
}
