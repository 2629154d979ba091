/**
 * Activation functions, by the names that `hidden_act` has in config.json (`ACT2FN` of transformers). They
 * are written with the operators, and in the order, that ONNX Runtime fuses into one where it can.
 */
import type { Config } from '../network/config.js';
import type { Module, Value } from '../network/network.js';

type Activation = (module: Module, input: Value) => Value;

/** √(2 ÷ π), of the tanh approximation of GELU (Hendrycks and Gimpel, arXiv:1606.08415). */
const SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);
const CUBE_WEIGHT = 0.044715;
/** Mean and deviation of the Laplace activation (Ma et al., arXiv:2209.10655). */
// biome-ignore lint/suspicious/noApproximativeNumericConstant: the class has these digits
const [LAPLACE_MEAN, LAPLACE_DEVIATION] = [0.707107, 0.282095];

/** x · (1 + erf(x ÷ √2)) ÷ 2 */
const gelu: Activation = (module, input) => {
  const { graph } = module;
  const scaled = module.apply('Div', [input, graph.scalar(Math.SQRT2)]);
  const error = module.apply('Erf', [scaled]);
  const shifted = module.apply('Add', [error, graph.scalar(1)]);
  const product = module.apply('Mul', [input, shifted]);
  return module.apply('Mul', [product, graph.scalar(0.5)]);
};

/** x ÷ 2 · (1 + tanh(√(2 ÷ π) · (x + 0.044715 · x³))) */
const geluTanh: Activation = (module, input) => {
  const { graph } = module;
  const cube = module.apply('Pow', [input, graph.scalar(3)]);
  const weighted = module.apply('Mul', [cube, graph.scalar(CUBE_WEIGHT)]);
  const sum = module.apply('Add', [input, weighted]);
  const inner = module.apply('Mul', [sum, graph.scalar(SQRT_2_OVER_PI)]);
  const shifted = module.apply('Add', [module.apply('Tanh', [inner]), graph.scalar(1)]);
  const half = module.apply('Mul', [input, graph.scalar(0.5)]);
  return module.apply('Mul', [half, shifted]);
};

/** x · σ(weight · x) */
function gated(weight: number): Activation {
  return (module, input) => {
    const scaled = weight === 1 ? input : module.apply('Mul', [input, module.graph.scalar(weight)]);
    return module.apply('Mul', [input, module.apply('Sigmoid', [scaled])]);
  };
}

function clipped(least: number, most: number, inner?: Activation): Activation {
  return (module, input) => {
    const value = inner === undefined ? input : inner(module, input);
    return module.apply('Clip', [value, module.graph.scalar(least), module.graph.scalar(most)]);
  };
}

const squaredRelu: Activation = (module, input) => {
  const positive = module.apply('Relu', [input]);
  return module.apply('Mul', [positive, positive]);
};

const mish: Activation = (module, input) =>
  module.apply('Mul', [input, module.apply('Tanh', [module.apply('Softplus', [input])])]);

const laplace: Activation = (module, input) => {
  const { graph } = module;
  const centred = module.apply('Sub', [input, graph.scalar(LAPLACE_MEAN)]);
  const scaled = module.apply('Div', [centred, graph.scalar(LAPLACE_DEVIATION * Math.SQRT2)]);
  const shifted = module.apply('Add', [module.apply('Erf', [scaled]), graph.scalar(1)]);
  return module.apply('Mul', [shifted, graph.scalar(0.5)]);
};

const operator =
  (name: string, attributes = {}): Activation =>
  (module, input) =>
    module.apply(name, [input], attributes);

const ACTIVATIONS = {
  gelu,
  gelu_python: gelu,
  gelu_10: clipped(-10, 10, gelu),
  gelu_new: geluTanh,
  gelu_fast: geluTanh,
  gelu_accurate: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  gelu_python_tanh: geluTanh,
  quick_gelu: gated(1.702),
  silu: gated(1),
  swish: gated(1),
  relu: operator('Relu'),
  relu2: squaredRelu,
  relu6: clipped(0, 6),
  leaky_relu: operator('LeakyRelu', { alpha: { float: 0.01 } }),
  mish,
  laplace,
  sigmoid: operator('Sigmoid'),
  tanh: operator('Tanh'),
  linear: (_module, input) => input,
} as const satisfies Readonly<Record<string, Activation>>;

export type ActivationName = keyof typeof ACTIVATIONS;

const NAMES = Object.keys(ACTIVATIONS).filter(
  (name): name is ActivationName => name in ACTIVATIONS,
);

/** The name in a key of config.json. */
export function readActivation(
  config: Config,
  key: string,
  fallback: ActivationName,
): ActivationName {
  return config.choice(key, NAMES, fallback);
}

/** Element by element; any shape. */
export function activate(module: Module, name: ActivationName, input: Value): Value {
  return ACTIVATIONS[name](module, input);
}
