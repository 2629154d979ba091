import type { Model } from '../intake/repository.js';

/** Private memory of the preparer at its peak: so many times the weights as it holds them, and so much beside. */
const TIMES_WEIGHTS = 2.1;
const BESIDE_BYTES = 40 * 2 ** 20;

/**
 * Private memory that preparing a model takes at its peak, in bytes: 2.1 × weights + 40 MB, those of a checkpoint as float32, which they become before the graph is optimised. ONNX Runtime holds the weights twice
 * while it writes the optimised graph: as it read them, and as it writes them.
 *
 * Measured with ONNX Runtime of package.json on Linux x86_64 as the highest `RssAnon` of the preparers of
 * `plimsoll models --prepare`, read every 4 ms, for models of bench/synthetic:
 *
 * | model | weights in MB | peak in MB | this rule |
 * | --- | --- | --- | --- |
 * | bert small, safetensors F32 | 13 | 46 | 67 |
 * | MiniLM, ONNX fp16 | 27 | 93 (its largest batch) | 97 |
 * | MiniLM, ONNX fp32 | 54 | 139 | 153 |
 * | DistilBERT, ONNX fp32 | 190 | 419 | 439 |
 * | BERT base, ONNX fp16 | 176 | 237 | 410 |
 * | BERT base, ONNX fp32 | 352 | 749 | 779 |
 * | BERT base, safetensors F32 | 352 | 704 | 779 |
 * | BERT base, safetensors BF16 | 176 (352 widened) | 708 | 779 |
 * | DeBERTa-v2 base, safetensors F32 | 352 | 745 | 779 |
 *
 * The longest text that a model takes is tried as well, and may need more where it is very long; what that takes is bounded by
 * itself (`measureRoom`).
 */
export function preparingPeakBytes({
  sourceBytes,
  float32Bytes = sourceBytes,
}: Pick<Model, 'sourceBytes' | 'float32Bytes'>): number {
  return TIMES_WEIGHTS * float32Bytes + BESIDE_BYTES;
}
