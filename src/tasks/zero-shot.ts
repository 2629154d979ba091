import { PlimsollError } from '../errors.js';
import type { LabelScore, RowTask } from '../inference/row-task.js';
import { NO_LOGITS } from '../models/intake/reading/scoring.js';
import { logistic, rounded } from '../models/run/scores.js';
import { hypothesesOf } from './hypothesis-template.js';
import { expectTask, type NliLabels, nliLabels } from './models.js';
import { best } from './text-classification.js';

export interface ZeroShot {
  readonly texts: readonly string[];
  readonly candidateLabels: readonly string[];
  /** `{}` stands for a label, as in Python's `str.format`. */
  readonly hypothesisTemplate?: string | undefined;
  /** Each label by itself, not one against the others. */
  readonly multiLabel?: boolean | undefined;
}

/** As transformers' ZeroShotClassificationPipeline has it. */
export const USUAL_TEMPLATE = 'This example is {}.';

/**
 * Labels that the model was never trained for: each becomes a hypothesis, and the model says whether the text entails
 * it. The rows of a text are cached one by one: another label costs one more row.
 */
export function zeroShot(asked: ZeroShot): RowTask<readonly LabelScore[]> {
  const { texts, candidateLabels, multiLabel = false } = asked;
  const hypotheses = hypothesesOf(candidateLabels, asked.hypothesisTemplate ?? USUAL_TEMPLATE);
  return {
    rowCount: texts.length * hypotheses.length,
    plan: (description) => {
      expectTask(description, 'zero-shot-classification');
      // A constant is lost with each row, and rows are held against one another.
      if (description.endsIn === 'softmax' && !multiLabel && hypotheses.length > 1) {
        throw new PlimsollError('INVALID_INPUT', `one label of several: ${NO_LOGITS}`);
      }
      const nli = nliLabels(description) ?? { entailment: 0, against: 0 };
      return {
        task: 'zero-shot-classification',
        rows: texts.flatMap((text) =>
          hypotheses.map((pair) => ({ text, pair, cut: 'only_first' as const })),
        ),
        rowsPerAnswer: hypotheses.length,
        topK: undefined,
        function: 'none',
        answer: (results, first) => {
          const logits = hypotheses.map((_, index) => results[first + index]?.result.scores ?? []);
          const scores = zeroShotScores(logits, nli, multiLabel);
          return candidateLabels
            .map((label, index) => ({ label, score: scores[index] ?? 0 }))
            .sort((a, b) => b.score - a.score);
        },
      };
    },
    best,
  };
}

/**
 * Scores of the candidate labels. Pure.
 *
 * 1. Several labels of which one is wanted: softmax over their logits of entailment.
 * 2. Each by itself, or a single one: entailment against what speaks against it; of two logits softmax is the logistic
 *    function of their difference.
 *
 * @param logits of the model's own labels, for each candidate
 */
export function zeroShotScores(
  logits: readonly (readonly number[])[],
  { entailment, against }: NliLabels,
  multiLabel: boolean,
): readonly number[] {
  if (multiLabel || logits.length === 1) {
    return logits.map((row) => logistic((row[entailment] ?? 0) - (row[against] ?? 0))); // 2
  }
  const entailed = logits.map((row) => row[entailment] ?? 0); // 1
  const most = Math.max(...entailed);
  const powers = entailed.map((value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => rounded(power / sum));
}
