/**
 * Terms of attention that hang on the distance between two tokens alone. They are computed for each of the
 * 2 × length distances, and then moved into place: cheaper than one gather for each pair of tokens.
 *
 * A list by distance holds −(length − 1), …, −1, 0, 1, …, length: the last one is never used, and makes
 * the move below a matter of reshaping.
 */
import type { Module, Value } from '../network/network.js';
import { sequenceLength } from './sequence.js';

/**
 * A number for every distance from −(longest − 1) to longest, as the model needs them at run time: int64
 * [2 × length]. `numberOf` is asked when the graph is written.
 *
 * @param key name of the list; it is made once for the whole network
 * @param longest most tokens of a sequence
 */
export function listByDistance(
  module: Module,
  key: string,
  longest: number,
  numberOf: (distance: number) => number,
): Value {
  return module.once(key, (of) => {
    const all = Array.from({ length: 2 * longest }, (_, at) => numberOf(at - (longest - 1)));
    return cutToLength(of, of.graph.table(`${key}.numbers`, all), longest, 0);
  });
}

/** The part of an axis of 2 × longest distances that the sequence has. */
export function cutToLength(module: Module, list: Value, longest: number, axis: number): Value {
  const length = sequenceLength(module);
  const middle = module.graph.integers(longest);
  const begin = module.apply('Sub', [middle, length]);
  const end = module.apply('Add', [middle, length]);
  return module.apply('Slice', [list, begin, end, module.graph.integers(axis)]);
}

/**
 * Moves values by distance to where the tokens are: [batch, heads, length, 2 × length] → [batch, heads, length,
 * length], with out[i, j] = in[i, (j − i) + length − 1].
 *
 * In a row-major matrix of 2 × length columns that is the value i × (2 × length − 1) + j + (length − 1): so
 * the first length − 1 values are dropped, rows are made one shorter, and their first length values kept.
 */
export function placeByDistance(module: Module, values: Value): Value {
  const { graph } = module;
  const length = sequenceLength(module);
  const one = graph.integers(1);
  const begin = module.once('distance_begin', (of) => of.apply('Sub', [length, one]));
  const end = module.once('distance_end', (of) => {
    const width = of.apply('Sub', [of.apply('Add', [length, length]), one]);
    return of.apply('Add', [of.apply('Mul', [length, width]), begin]);
  });
  const shape = module.once('distance_shape', (of) =>
    of.apply('Concat', [graph.integers(0, 0), length, graph.integers(-1)], { axis: 0 }),
  );
  const flat = module.apply('Reshape', [values, graph.integers(0, 0, -1)]);
  const dropped = module.apply('Slice', [flat, begin, end, graph.integers(2)]);
  const rows = module.apply('Reshape', [dropped, shape]);
  return module.apply('Slice', [rows, graph.integers(0), length, graph.integers(3)]);
}
