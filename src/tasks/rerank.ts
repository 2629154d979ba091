import type { RowTask } from '../inference/row-task.js';
import type { Side } from '../models/intake/reading/room.js';
import { otherSide, rowsOf } from './input.js';
import { expectTask } from './models.js';
import { chosenFunction, type ScoreChoice } from './score-choice.js';

export interface Rerank {
  readonly query: string;
  readonly documents: readonly string[];
  /** What is applied to the one logit; the model's own if undefined. */
  readonly function?: ScoreChoice | undefined;
  /** Where a query and a document that are too long are cut; where the model's files say if undefined. */
  readonly truncationSide?: Side | undefined;
}

/** How well each document answers the query: one score each, in the order of the documents. */
export function rerank(asked: Rerank): RowTask<number> {
  const { query, documents, function: own, truncationSide } = asked;
  const pairs = documents.map((document) => ({ text: query, text_pair: document }));
  return {
    plan: (description) => {
      expectTask(description, 'rerank');
      return {
        task: 'rerank',
        rows: rowsOf(pairs, otherSide(truncationSide, description)),
        rowsPerAnswer: 1,
        topK: undefined,
        function: chosenFunction(description, own),
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
