/** Dense layers. PyTorch keeps their weights as [to, from]: y = x · Wᵀ + b. */
import type { Module, Value } from '../network/network.js';

export interface LinearShape {
  readonly from: number;
  readonly to: number;
  /** Whether a bias is added; it is unless this is false. */
  readonly bias?: boolean;
}

/** [.., from] → [.., to], with the module's `weight` and `bias`. */
export function linear(module: Module, input: Value, { from, to, bias }: LinearShape): Value {
  const product = module.apply('MatMul', [input, transposedWeight(module, from, to)]);
  return bias === false ? product : module.apply('Add', [product, module.parameter('bias', [to])]);
}

/** The weight as MatMul takes it, [from, to]. ONNX Runtime transposes it once, when it optimises. */
function transposedWeight(module: Module, from: number, to: number): Value {
  // Layers that share a weight share its transposed form too.
  return module.once(`${module.path}.weight`, () =>
    module.apply('Transpose', [module.parameter('weight', [to, from])], { perm: [1, 0] }),
  );
}
