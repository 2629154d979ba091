/** Rotary positions (Su et al., arXiv:2104.09864), with the halves of a head as the pairs that are turned. */
import { dataTypes } from '../../onnx/messages.js';
import type { Module, Value } from '../network/network.js';
import { sequenceLength } from './sequence.js';

/**
 * Turns queries or keys by their positions: [batch, heads, sequence, size] to the same.
 *
 * @param theta the base of the angles' geometric series
 */
export function rotated(module: Module, states: Value, size: number, theta: number): Value {
  const { graph } = module;
  const angles = anglesOf(module, size, theta);
  const cosine = module.once(`cosine_${theta}`, (of) => of.apply('Cos', [angles]));
  const sine = module.once(`sine_${theta}`, (of) => of.apply('Sin', [angles]));
  const half = Math.floor(size / 2);
  const halves = graph.integers(half, half);
  const [left = '', right = ''] = module.applyMany('Split', [states, halves], 2, { axis: -1 });
  const turned = module.apply('Concat', [module.apply('Neg', [right]), left], { axis: -1 });
  const straight = module.apply('Mul', [states, cosine]);
  return module.apply('Add', [straight, module.apply('Mul', [turned, sine])]);
}

/** position × theta^(−2i ÷ size), each twice: float32 [sequence, size]. */
function anglesOf(module: Module, size: number, theta: number): Value {
  return module.once(`angles_${theta}`, (of) => {
    const { graph } = of;
    const frequencies = Float32Array.from({ length: size }, (_, at) => {
      const exponent = Math.fround((2 * (at % (size / 2))) / size);
      return 1 / Math.fround(theta ** exponent);
    });
    const row = graph.floats(`${of.path}.frequencies`, [1, size], frequencies);
    const positions = sequencePositions(of);
    const column = of.apply('Unsqueeze', [positions, graph.integers(1)]);
    return of.apply('Mul', [column, row]);
  });
}

/** 0, 1, 2, …: float32 [sequence]. */
function sequencePositions(module: Module): Value {
  return module.once('sequence_positions', (of) => {
    const { graph } = of;
    const length = of.apply('Squeeze', [sequenceLength(of)]);
    const range = of.apply('Range', [graph.integer(0), length, graph.integer(1)]);
    return of.apply('Cast', [range], { to: dataTypes.float });
  });
}
