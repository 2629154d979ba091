/** Multi-head attention (Vaswani et al., arXiv:1706.03762) between the projections and the output. */
import type { Module, Value } from '../network/network.js';
import { linear } from './linear.js';

export interface HeadShape {
  readonly heads: number;
  /** Width of each head. */
  readonly size: number;
}

const HEADS_FIRST = [0, 2, 1, 3];
const KEYS_LAST = [0, 2, 3, 1];

/** A dense layer whose output is split: [batch, sequence, hidden] → [batch, heads, sequence, size]. */
export function projectedHeads(module: Module, input: Value, shape: HeadShape): Value {
  return module.apply('Transpose', [projected(module, input, shape)], { perm: HEADS_FIRST });
}

/** The same for keys, ready for the product: [batch, heads, size, sequence]. */
export function projectedKeys(module: Module, input: Value, shape: HeadShape): Value {
  return module.apply('Transpose', [projected(module, input, shape)], { perm: KEYS_LAST });
}

function projected(module: Module, input: Value, { heads, size }: HeadShape): Value {
  const hidden = heads * size;
  const states = linear(module, input, { from: hidden, to: hidden });
  return module.apply('Reshape', [states, module.graph.integers(0, 0, heads, size)]);
}

/** Keys [batch, heads, size, sequence] as rows: [batch, heads, sequence, size]. */
export function keysAsRows(module: Module, keys: Value): Value {
  return module.apply('Transpose', [keys], { perm: [0, 1, 3, 2] });
}

/** Heads side by side again: [batch, heads, sequence, size] → [batch, sequence, hidden]. */
export function joinedHeads(module: Module, states: Value, { heads, size }: HeadShape): Value {
  const hidden = heads * size;
  const rows = module.apply('Transpose', [states], { perm: HEADS_FIRST });
  const joined = module.apply('Reshape', [rows, module.graph.integers(0, 0, hidden)]);
  // Terms by distance hide the shape from ONNX Runtime, whose fusions behind it ask for it.
  return module.graph.declare(joined, 'float', ['batch', 'sequence', hidden]);
}

/** Queries times keys, divided: [batch, heads, sequence, sequence]. The division becomes a part of the product. */
export function scaledProduct(module: Module, left: Value, right: Value, divisor: number): Value {
  const product = module.apply('MatMul', [left, right]);
  return divisor === 1 ? product : module.apply('Div', [product, module.graph.scalar(divisor)]);
}

export interface AttentionInputs {
  readonly query: Value;
  /** As {@link projectedKeys} gives them. */
  readonly keys: Value;
  readonly value: Value;
  /** What the products are divided by. */
  readonly divisor: number;
  /** Terms that are added to the scores, the mask last; of any shape that broadcasts. */
  readonly biases: readonly Value[];
}

/** softmax(Q · Kᵀ ÷ divisor + biases) · V, with the heads joined. */
export function attend(module: Module, inputs: AttentionInputs, shape: HeadShape): Value {
  const product = scaledProduct(module, inputs.query, inputs.keys, inputs.divisor);
  const scores = inputs.biases.reduce((sum, bias) => module.apply('Add', [sum, bias]), product);
  const shares = module.apply('Softmax', [scores], { axis: 3 });
  return joinedHeads(module, module.apply('MatMul', [shares, inputs.value]), shape);
}
