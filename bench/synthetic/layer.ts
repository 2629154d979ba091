/**
 * One transformer layer of BERT, written operator by operator in the order of operands that ONNX
 * Runtime's fusions look for: SkipLayerNormalization, BiasGelu and FusedMatMul appear at the
 * `extended` optimisation level. Attention does not, as for any export since opset 13: the fusion
 * still expects the mask's Unsqueeze to have its axes in an attribute (seen with ONNX Runtime
 * 1.30). Hidden states are float32 [batch, sequence, hidden] throughout.
 */
import type { GraphBuilder } from '../../src/models/compile/onnx/graph-builder.js';
import { dense, GAINS, layerNorm, nodePath } from './modules.js';
import type { EncoderShape } from './shapes.js';

/** A projection split into heads: [batch, sequence, hidden] to four dimensions, per `order`. */
function heads(
  graph: GraphBuilder,
  module: string,
  input: string,
  spec: { readonly shape: EncoderShape; readonly gain: number; readonly order: readonly number[] },
): string {
  const { hidden, heads: count } = spec.shape;
  const projected = dense(graph, module, input, { from: hidden, to: hidden, gain: spec.gain });
  const shape = graph.integers(0, 0, count, hidden / count);
  const split = graph.node('Reshape', `${nodePath(module)}/Reshape`, [projected, shape]);
  return graph.node('Transpose', `${nodePath(module)}/Transpose`, [split], { perm: spec.order });
}

/** Multi-head self-attention, its output projection, and the residual with its norm. */
function attention(
  graph: GraphBuilder,
  module: string,
  input: string,
  mask: string,
  shape: EncoderShape,
): string {
  const self = `${module}.self`;
  const path = nodePath(self);
  const { hidden } = shape;
  const rowsFirst = [0, 2, 1, 3];
  const specs = {
    query: { shape, gain: GAINS.query, order: rowsFirst },
    key: { shape, gain: GAINS.key, order: [0, 2, 3, 1] },
    value: { shape, gain: GAINS.value, order: rowsFirst },
  };
  const query = heads(graph, `${self}.query`, input, specs.query);
  const key = heads(graph, `${self}.key`, input, specs.key);
  const value = heads(graph, `${self}.value`, input, specs.value);
  const product = graph.node('MatMul', `${path}/MatMul`, [query, key]);
  const scale = graph.scalar(Math.sqrt(hidden / shape.heads));
  const scores = graph.node('Div', `${path}/Div`, [product, scale]);
  const masked = graph.node('Add', `${path}/Add`, [scores, mask]);
  const shares = graph.node('Softmax', `${path}/Softmax`, [masked], { axis: 3 });
  const mixed = graph.node('MatMul', `${path}/MatMul_1`, [shares, value]);
  const rows = graph.node('Transpose', `${path}/Transpose`, [mixed], { perm: rowsFirst });
  const joined = graph.node('Reshape', `${path}/Reshape`, [rows, graph.integers(0, 0, hidden)]);
  const sizes = { from: hidden, to: hidden, gain: GAINS.output };
  const projected = dense(graph, `${module}.output.dense`, joined, sizes);
  const residual = graph.node('Add', `${nodePath(module)}/output/Add`, [projected, input]);
  return layerNorm(graph, `${module}.output.LayerNorm`, residual, hidden);
}

/** Exact GELU: x * (1 + erf(x / sqrt(2))) * 0.5, any shape. */
function gelu(graph: GraphBuilder, path: string, input: string): string {
  const scaled = graph.node('Div', `${path}/Div`, [input, graph.scalar(Math.SQRT2)]);
  const error = graph.node('Erf', `${path}/Erf`, [scaled]);
  const shifted = graph.node('Add', `${path}/Add`, [error, graph.scalar(1)]);
  const product = graph.node('Mul', `${path}/Mul`, [input, shifted]);
  return graph.node('Mul', `${path}/Mul_1`, [product, graph.scalar(0.5)]);
}

/** The feed-forward network and the residual with its norm. */
function feedForward(
  graph: GraphBuilder,
  module: string,
  input: string,
  shape: EncoderShape,
): string {
  const { hidden, ffn } = shape;
  const widen = { from: hidden, to: ffn, gain: GAINS.ffn };
  const wide = dense(graph, `${module}.intermediate.dense`, input, widen);
  const active = gelu(graph, `${nodePath(module)}/intermediate/act`, wide);
  const narrow = { from: ffn, to: hidden, gain: GAINS.ffn };
  const projected = dense(graph, `${module}.output.dense`, active, narrow);
  const residual = graph.node('Add', `${nodePath(module)}/output/Add`, [projected, input]);
  return layerNorm(graph, `${module}.output.LayerNorm`, residual, hidden);
}

/**
 * A whole layer.
 *
 * @param module - the layer's name, such as `bert.encoder.layer.0`
 * @param mask - what to add to the scores, float32 [batch, 1, 1, sequence]
 * @returns the layer's hidden states
 */
export function transformerLayer(
  graph: GraphBuilder,
  module: string,
  input: string,
  mask: string,
  shape: EncoderShape,
): string {
  const attended = attention(graph, `${module}.attention`, input, mask, shape);
  return feedForward(graph, module, attended, shape);
}
