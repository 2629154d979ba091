import type { CachedResult } from '../cache/memory-tier.js';
import type { LabelScore, RowTask } from '../inference/row-task.js';
import { type ModelDescription, thresholdOf } from '../models/intake/description.js';
import type { Side } from '../models/intake/reading/room.js';
import { otherSide, rowsOf, type TextInput } from './input.js';
import { expectTask } from './models.js';
import { chosenFunction, type ScoreChoice } from './score-choice.js';

export interface TextClassification {
  readonly inputs: readonly TextInput[];
  /** Labels of each answer at most, best first; all if undefined. */
  readonly topK: number | undefined;
  /** What is applied to the logits; the model's own if undefined. */
  readonly function?: ScoreChoice | undefined;
  /** Labels with a lower score are left out. */
  readonly threshold?: number | undefined;
  /** Where texts that are too long are cut; where the model's files say if undefined. */
  readonly truncationSide?: Side | undefined;
  /** Every label in the order of the model's outputs: the only way to tell apart two labels of one name. */
  readonly isByIndex?: boolean | undefined;
}

/** One text, or two, to labels with scores, best first. */
export function textClassification(asked: TextClassification): RowTask<readonly LabelScore[]> {
  const { inputs, topK, function: own, threshold, truncationSide, isByIndex = false } = asked;
  return {
    plan: (description) => {
      expectTask(description, 'text-classification');
      return {
        task: 'text-classification',
        rows: rowsOf(inputs, otherSide(truncationSide, description)),
        rowsPerAnswer: 1,
        topK,
        function: chosenFunction(description, own),
        answer: (results, index) => {
          const result = results[index]?.result;
          if (result === undefined) return [];
          return isByIndex
            ? byIndex(description, result)
            : ranked(description, result, topK, threshold);
        },
      };
    },
    best: isByIndex ? highest : best,
  };
}

/** The best label: the first. */
export function best(labels: readonly LabelScore[]): LabelScore | undefined {
  return labels[0];
}

/** The label with the highest score, of labels in any order. */
export function highest(labels: readonly LabelScore[]): LabelScore | undefined {
  const most = Math.max(...labels.map(({ score }) => score));
  return labels.find(({ score }) => score === most);
}

/** All labels were asked for, so the scores are in the order of the labels. */
function byIndex({ labels }: ModelDescription, { scores }: CachedResult): readonly LabelScore[] {
  return scores.map((score, index) => ({ label: labels[index] ?? `LABEL_${index}`, score }));
}

function ranked(
  description: ModelDescription,
  { scores, labels: bestLabels }: CachedResult,
  topK: number | undefined,
  threshold: number | undefined,
): readonly LabelScore[] {
  const { labels, thresholds } = description;
  const list = new Array<LabelScore>(scores.length);
  for (let index = 0; index < scores.length; index += 1) {
    const label = bestLabels === undefined ? index : (bestLabels[index] ?? index);
    list[index] = { label: labels[label] ?? `LABEL_${label}`, score: scores[index] ?? 0 };
  }
  if (!isRanked(list)) list.sort((a, b) => b.score - a.score);
  const kept =
    thresholds === undefined && threshold === undefined
      ? list
      : list.filter(
          ({ label, score }) =>
            score >= (threshold ?? thresholdOf(description, label) ?? Number.NEGATIVE_INFINITY),
        );
  return topK === undefined ? kept : kept.slice(0, topK);
}

/** Sorting allocates more than the list itself, and with few labels is often not needed. */
function isRanked(list: readonly LabelScore[]): boolean {
  let last = Number.POSITIVE_INFINITY;
  for (const { score } of list) {
    if (score > last) return false;
    last = score;
  }
  return true;
}
