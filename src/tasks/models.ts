/** Which models can do a task. Pure. */
import type { TaskName } from '../contract/models.js';
import { PlimsollError } from '../errors.js';
import type { ModelDescription } from '../models/intake/description.js';

/** Tasks that a model can do, its own first. Zero-shot and reranking are made of pairs of texts. */
export function tasksOf(description: ModelDescription, takesPairs = true): readonly TaskName[] {
  if (description.task !== 'text-classification') return [description.task];
  const tasks: TaskName[] = ['text-classification'];
  if (!takesPairs) return tasks;
  if (nliLabels(description) !== undefined) tasks.push('zero-shot-classification');
  if (description.labels.length === 1) tasks.push('rerank');
  return tasks;
}

/** @throws PlimsollError TASK_NOT_SUPPORTED */
export function expectTask(description: ModelDescription, task: TaskName): void {
  const can = tasksOf(description);
  if (can.includes(task)) return;
  throw new PlimsollError('TASK_NOT_SUPPORTED', `the model does ${can.join(', ')}; ${NEEDS[task]}`);
}

const NEEDS: Readonly<Record<TaskName, string>> = {
  'text-classification': 'this takes one that classifies whole texts (…ForSequenceClassification)',
  'zero-shot-classification':
    'this takes one for natural language inference: one of its labels has to begin with "entail"',
  rerank: 'this takes one with a single output, such as a cross-encoder',
  'token-classification': 'this takes one that labels tokens (…ForTokenClassification)',
};

/** Numbers of the two labels that zero-shot classification compares. */
export interface NliLabels {
  readonly entailment: number;
  readonly against: number;
}

/**
 * As transformers' ZeroShotClassificationPipeline finds them (4.57): entailment is the first label that begins with
 * "entail", in any case; what speaks against it is label 0, or the last one where entailment is label 0.
 *
 * @returns undefined for a model of another kind
 */
export function nliLabels({ task, labels }: ModelDescription): NliLabels | undefined {
  if (task !== 'text-classification' || labels.length < 2) return undefined;
  const entailment = labels.findIndex((label) => label.toLowerCase().startsWith('entail'));
  if (entailment < 0) return undefined;
  return { entailment, against: entailment === 0 ? labels.length - 1 : 0 };
}
