/** Which function makes scores of the logits, where a protocol has a rule of its own. Pure. */
import type { ModelDescription } from '../models/intake/description.js';
import { functionFor, type ScoreFunction } from '../models/intake/reading/scoring.js';

/** A function, or the rule by which a protocol finds one for a model. */
export type ScoreChoice = ScoreFunction | ((description: ModelDescription) => ScoreFunction);

/**
 * What a plan names.
 *
 * @throws PlimsollError INVALID_INPUT for one that cannot be had of the model's graph
 * @returns undefined for the model's own function: its rows then run and are cached with those that name none.
 */
export function chosenFunction(
  description: ModelDescription,
  choice: ScoreChoice | undefined,
): ScoreFunction | undefined {
  const named = typeof choice === 'function' ? choice(description) : choice;
  const chosen = functionFor(named, description.endsIn);
  return chosen === description.scoring ? undefined : chosen;
}

/** As transformers' TextClassificationPipeline: it does not read what a cross-encoder declares. */
export const asPipeline: ScoreChoice = ({ pipelineScoring }) => pipelineScoring;

/**
 * As text-embeddings-inference does unless raw scores are asked for (core/src/infer.rs): it never gives raw outputs.
 *
 * 1. What the owner wrote into plimsoll.json is applied.
 * 2. So is the model's own function, if it makes probabilities.
 * 3. Else one output gets a sigmoid, and several a softmax.
 */
export const asProbability: ScoreChoice = ({ ownerScoring, scoring, labels }) => {
  if (ownerScoring !== undefined) return ownerScoring; // 1
  if (scoring !== 'none') return scoring; // 2
  return labels.length === 1 ? 'sigmoid' : 'softmax'; // 3
};
