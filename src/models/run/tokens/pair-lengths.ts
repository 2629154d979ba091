import type { PairCut } from '../row-input.js';

/**
 * Tokens that are kept of each of two texts. Pure. The rules are those of Hugging Face's `tokenizers`
 * (`truncate_encodings`, 0.20 and later).
 *
 * 1. Both fit: all of them.
 * 2. `only_first`: the second is kept whole, the first gets the rest.
 * 3. `longest_first`: the shorter one is kept whole while the longer one has more; else each has half, and the one
 *    that was longer the odd token. Of two that are equally long that is the second.
 *
 * @param first tokens of the first text
 * @param room tokens of both together
 * @returns undefined if the second text leaves no room for the first, which `only_first` demands
 */
export function pairLengths(
  first: number,
  second: number,
  room: number,
  cut: PairCut,
): readonly [number, number] | undefined {
  if (first + second <= room) return [first, second]; // 1
  if (cut === 'only_first') return second < room ? [room - second, second] : undefined; // 2
  const [shorter, longer] = first > second ? [second, first] : [first, second];
  const half = Math.floor(room / 2);
  let [short, long] = [shorter, Math.max(shorter, room - shorter)];
  // The shorter one has more than half itself.
  if (shorter > room || short + long > room) [short, long] = [half, half + (room % 2)];
  long = Math.min(long, longer);
  return first > second ? [long, short] : [short, long]; // 3
}
