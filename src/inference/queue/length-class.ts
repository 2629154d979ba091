/** Classes of texts that take about as long as one another. */

/** Texts up to this many characters (about 32 tokens) cost the same: a run's fixed cost outweighs them. */
const SHORT_SIZE = 192;
export const CLASSES_PER_DOUBLING = 4;

/** Sizes in one class differ by less than a fifth; all short texts are in class 0. */
export function lengthClass(size: number): number {
  return Math.floor(CLASSES_PER_DOUBLING * Math.log2(Math.max(size, SHORT_SIZE) / SHORT_SIZE));
}

/** Doublings of length that are told apart: the last one begins at 100,000 characters. */
export const OCTAVES = 10;

/** How often the shortest size is doubled; texts of one octave take about as long for each of their characters. */
export function lengthOctave(size: number): number {
  return Math.min(OCTAVES - 1, Math.floor(lengthClass(size) / CLASSES_PER_DOUBLING));
}

/** Characters that count: those of a short text cost no less than {@link SHORT_SIZE}. */
export function effectiveSize(size: number): number {
  return Math.max(size, SHORT_SIZE);
}
