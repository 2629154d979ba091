import type { RowTask } from '../inference/row-task.js';
import type { ScoreFunction } from '../models/intake/reading/scoring.js';
import { expectTask } from './models.js';

export interface Rerank {
  readonly query: string;
  readonly documents: readonly string[];
  /** What is applied to the one logit; the model's own if undefined. */
  readonly function?: ScoreFunction | undefined;
}

/** How well each document answers the query: one score each, in the order of the documents. */
export function rerank({ query, documents, function: own }: Rerank): RowTask<number> {
  return {
    plan: (description) => {
      expectTask(description, 'rerank');
      return {
        task: 'rerank',
        rows: documents.map((pair) => ({ text: query, pair, cut: 'longest_first' as const })),
        rowsPerAnswer: 1,
        topK: undefined,
        function: own,
        answer: (results, index) => results[index]?.result.scores[0] ?? 0,
      };
    },
    best: (score) => ({ label: 'relevance', score }),
  };
}

/** Documents by their places, the best first; of equal ones the earlier. */
export function bestFirst(
  scores: readonly number[],
): readonly { readonly index: number; readonly score: number }[] {
  return scores
    .map((score, index) => ({ index, score }))
    .sort((a, b) => b.score - a.score || a.index - b.index);
}
