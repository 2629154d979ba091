/** Classes of texts that take about as long as one another. */

/** Texts up to this many characters (about 32 tokens) cost the same: a run's fixed cost outweighs them. */
const SHORT_SIZE = 192;
export const CLASSES_PER_DOUBLING = 4;

/** Sizes in one class differ by less than a fifth; all short texts are in class 0. */
export function lengthClass(size: number): number {
  return Math.floor(CLASSES_PER_DOUBLING * Math.log2(Math.max(size, SHORT_SIZE) / SHORT_SIZE));
}
