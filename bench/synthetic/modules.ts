/** The building blocks of BERT's graph: dense layers and layer norms, with their weights. */
import type { GraphBuilder } from '../../src/models/compile/onnx/graph-builder.js';

const LAYER_NORM_EPSILON = 1e-12;
/** Standard deviation of embeddings, biases and the deviations of the layer norms: BERT's own. */
export const STD = 0.02;

/**
 * Gains of dense layers: the standard deviation of an output when the inputs have that of one. With
 * BERT's initial 0.02 throughout, attention would be uniform and every text would get the same
 * logits; these values make attention choose and the logits depend on the text.
 */
export const GAINS = {
  query: 1.6,
  key: 1.6,
  value: 1,
  output: 1,
  ffn: 0.8,
  pooler: 1,
  classifier: 3,
};

/** `bert.encoder.layer.0.output` as the path of a node: `/bert/encoder/layer.0/output`. */
export function nodePath(module: string): string {
  return `/${module.replaceAll('.', '/').replace(/\/(\d+)/, '.$1')}`;
}

/**
 * A dense layer, [.., from] to [.., to]. Its weights are stored transposed against PyTorch's, as
 * [from, to], ready for MatMul.
 */
export function dense(
  graph: GraphBuilder,
  module: string,
  input: string,
  sizes: { readonly from: number; readonly to: number; readonly gain: number },
): string {
  const path = nodePath(module);
  const std = sizes.gain / Math.sqrt(sizes.from);
  const weight = graph.weight(`${module}.weight`, [sizes.from, sizes.to], std);
  const bias = graph.weight(`${module}.bias`, [sizes.to], STD);
  const product = graph.node('MatMul', `${path}/MatMul`, [input, weight]);
  return graph.node('Add', `${path}/Add`, [product, bias]);
}

/** Layer norm over the last dimension, of `hidden` elements. */
export function layerNorm(
  graph: GraphBuilder,
  module: string,
  input: string,
  hidden: number,
): string {
  const weight = graph.weight(`${module}.weight`, [hidden], STD, 1);
  const bias = graph.weight(`${module}.bias`, [hidden], STD);
  const attributes = { axis: -1, epsilon: { float: LAYER_NORM_EPSILON } };
  const name = `${nodePath(module)}/LayerNormalization`;
  return graph.node('LayerNormalization', name, [input, weight, bias], attributes);
}
