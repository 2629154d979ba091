import type { Module, Value } from '../network/network.js';

export interface NormShape {
  readonly size: number;
  readonly epsilon: number;
  /** Whether it has a bias; it has one unless this is false. */
  readonly bias?: boolean;
}

/** Layer norm over the last dimension, with the module's `weight` and `bias`. */
export function layerNorm(module: Module, input: Value, { size, epsilon, bias }: NormShape): Value {
  const inputs = [input, module.parameter('weight', [size])];
  if (bias !== false) inputs.push(module.parameter('bias', [size]));
  return module.apply('LayerNormalization', inputs, { axis: -1, epsilon: { float: epsilon } });
}
