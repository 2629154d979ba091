/** The best labels of one input, best first; equal scores in the order of the labels. */
export interface BestLabels {
  /** Indexes of the labels. */
  readonly labels: readonly number[];
  readonly scores: readonly number[];
}

/**
 * The `count` best of all scores: a partial selection, as sorting 20,000 labels takes some milliseconds for each
 * input.
 *
 * @param all score of each label, by index.
 */
export function bestLabels(all: readonly number[], count: number): BestLabels {
  const labels: number[] = [];
  const scores: number[] = [];
  const most = Math.min(count, all.length);
  let least = Number.NEGATIVE_INFINITY;
  for (let label = 0; label < all.length; label += 1) {
    const score = all[label] ?? Number.NEGATIVE_INFINITY;
    if (scores.length === most && !(score > least)) continue;
    let at = placeOf(score, scores);
    if (scores.length === most) {
      labels.pop();
      scores.pop();
      at = Math.min(at, scores.length);
    }
    labels.splice(at, 0, label);
    scores.splice(at, 0, score);
    least = scores[scores.length - 1] ?? least;
  }
  return { labels, scores };
}

/** Behind every score that is at least as high. */
function placeOf(score: number, descending: readonly number[]): number {
  let [low, high] = [0, descending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((descending[middle] ?? 0) >= score) low = middle + 1;
    else high = middle;
  }
  return low;
}
