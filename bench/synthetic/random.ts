/**
 * Seeded pseudo-random weights, fast enough for a hundred million values and the same on every
 * machine: only integer operations, additions and one multiplication that IEEE 754 defines exactly.
 */

/** Number of precomputed bell-shaped values; a power of two, so that 16 random bits select one. */
const TABLE_SIZE = 65_536;
/** Uniform values summed into one bell-shaped value: with twelve, the variance is exactly one. */
const UNIFORMS_PER_VALUE = 12;

/** mulberry32: a 32-bit state, a 32-bit result per step (unsigned). */
export function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

/** FNV-1a over the UTF-16 units of a text, mixed with a seed: a 32-bit state for a generator. */
function hash(text: string, seed: number): number {
  let state = (0x811c9dc5 ^ seed) | 0;
  for (let index = 0; index < text.length; index += 1) {
    state = Math.imul(state ^ text.charCodeAt(index), 0x01000193);
  }
  return state;
}

function bellTable(): Float32Array {
  const next = mulberry32(0x9e3779b9);
  return Float32Array.from({ length: TABLE_SIZE }, () => {
    let sum = 0;
    for (let count = 0; count < UNIFORMS_PER_VALUE; count += 1) {
      sum += next() / 0x1_0000_0000;
    }
    return sum - UNIFORMS_PER_VALUE / 2;
  });
}

const table = bellTable();

/** Fills an array with the next values of a stream. */
export type Fill = (target: Float32Array) => void;

/**
 * A stream of values with a bell-shaped distribution (Irwin-Hall of order 12, within six standard
 * deviations), independent for every name.
 *
 * @param seed - the model's seed, a 32-bit integer
 * @param name - the tensor's name
 */
export function gaussianStream(seed: number, name: string, mean: number, std: number): Fill {
  // xoshiro128**, its four words seeded with mulberry32.
  const seeds = mulberry32(hash(name, seed));
  let [a, b, c, d] = [seeds() | 0, seeds() | 0, seeds() | 0, seeds() | 0];
  return (target) => {
    for (let index = 0; index < target.length; index += 2) {
      const product = Math.imul(b, 5);
      const bits = Math.imul((product << 7) | (product >>> 25), 9);
      const shifted = b << 9;
      c ^= a;
      d ^= b;
      b ^= c;
      a ^= d;
      c ^= shifted;
      d = (d << 11) | (d >>> 21);
      target[index] = mean + std * (table[bits >>> 16] ?? 0);
      // Past the end of an array of odd length, this has no effect.
      target[index + 1] = mean + std * (table[bits & 0xffff] ?? 0);
    }
  };
}
