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
  const rows = module.apply('Transpose', [states], { perm: HEADS_FIRST });
  return module.apply('Reshape', [rows, module.graph.integers(0, 0, heads * size)]);
}

export interface AttentionInputs {
  readonly query: Value;
  /** As {@link projectedKeys} gives them. */
  readonly keys: Value;
  readonly value: Value;
  /** What the products (and their position terms) are divided by. */
  readonly divisor: number;
  /** Terms that are added before the division: [batch, heads, sequence, sequence]. */
  readonly terms?: readonly Value[];
  /** Terms that are added after it, the mask last; of any shape that broadcasts. */
  readonly biases: readonly Value[];
}

/** softmax((Q · Kᵀ + terms) ÷ divisor + biases) · V, with the heads joined. */
export function attend(module: Module, inputs: AttentionInputs, shape: HeadShape): Value {
  const add = (sum: Value, term: Value): Value => module.apply('Add', [sum, term]);
  const product = module.apply('MatMul', [inputs.query, inputs.keys]);
  const sum = (inputs.terms ?? []).reduce(add, product);
  const scaled = module.apply('Div', [sum, module.graph.scalar(inputs.divisor)]);
  const scores = inputs.biases.reduce(add, scaled);
  const shares = module.apply('Softmax', [scores], { axis: 3 });
  return joinedHeads(module, module.apply('MatMul', [shares, inputs.value]), shape);
}
