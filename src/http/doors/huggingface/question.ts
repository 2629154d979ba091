import type { HfParameters } from '../../../contract/doors/hugging-face.js';
import { PlimsollError } from '../../../errors.js';
import type { Aggregation } from '../../../models/run/entities.js';
import type { TextInput } from '../../../tasks/input.js';
import { asPipeline, type ScoreChoice } from '../../../tasks/score-choice.js';
import { fieldsIn, kindOf, listIn, odd, oneOrMore, textIn } from '../../calls/fields.js';

/** What a body asks. `isList`: whether its inputs were a list, and so its answer is one. */
export type Question = { readonly isList: boolean } & (
  | {
      readonly kind: 'text-classification';
      readonly inputs: readonly TextInput[];
      readonly topK: number | undefined;
      readonly function: ScoreChoice;
    }
  | {
      readonly kind: 'zero-shot-classification';
      readonly texts: readonly string[];
      readonly candidateLabels: readonly string[];
      readonly hypothesisTemplate: string | undefined;
      readonly multiLabel: boolean | undefined;
    }
  | {
      readonly kind: 'token-classification';
      readonly texts: readonly string[];
      readonly aggregation: Aggregation;
      readonly ignoreLabels: readonly string[] | undefined;
      readonly stride: number | undefined;
    }
);

/** What each task takes beside the inputs. */
const PARAMETERS: Readonly<Record<Question['kind'], readonly (keyof HfParameters)[]>> = {
  'text-classification': ['function_to_apply', 'top_k'],
  'zero-shot-classification': ['candidate_labels', 'hypothesis_template', 'multi_label'],
  'token-classification': ['aggregation_strategy', 'ignore_labels', 'stride'],
};
/** What pipelines take too, and what changes nothing here: long texts are cut, and batches are the scheduler's. */
const WITHOUT_EFFECT = ['truncation', 'padding', 'batch_size'];

/**
 * Decides in this order:
 *
 * 1. With `candidate_labels` it is zero-shot.
 * 2. A model of tokens classifies tokens.
 * 3. Any other model classifies texts, or pairs of texts.
 * 4. A parameter that the task does not take is refused: an answer that ignored it would look right.
 *
 * @param task of the model.
 * @param maxInputs texts of one request at most.
 * @throws PlimsollError INVALID_INPUT, INVALID_REQUEST
 */
export function questionOf(
  inputs: unknown,
  parameters: HfParameters,
  task: string,
  maxInputs: number,
): Question {
  const isList = Array.isArray(inputs);
  const labels = parameters.candidate_labels ?? undefined;
  if (labels !== undefined) {
    refuseOthers(parameters, 'zero-shot-classification'); // 4
    return {
      ...{ kind: 'zero-shot-classification', isList }, // 1
      texts: oneOrMore(inputs, 'inputs', maxInputs),
      candidateLabels: labelsOf(labels),
      hypothesisTemplate: parameters.hypothesis_template ?? undefined,
      multiLabel: parameters.multi_label ?? undefined,
    };
  }
  if (task === 'token-classification') {
    refuseOthers(parameters, 'token-classification'); // 4
    return {
      ...{ kind: 'token-classification', isList }, // 2
      texts: oneOrMore(inputs, 'inputs', maxInputs),
      aggregation: parameters.aggregation_strategy ?? 'simple',
      ignoreLabels: parameters.ignore_labels ?? undefined,
      stride: parameters.stride ?? undefined,
    };
  }
  refuseOthers(parameters, 'text-classification'); // 4
  const all = isList ? listIn(inputs, 'inputs', maxInputs) : [inputs];
  return {
    ...{ kind: 'text-classification', isList }, // 3
    inputs: all.map((each, index) => inputOf(each, isList ? `inputs[${index}]` : 'inputs')),
    topK: parameters.top_k ?? undefined,
    function: parameters.function_to_apply ?? asPipeline,
  };
}

function inputOf(value: unknown, at: string): TextInput {
  if (typeof value === 'string') return textIn(value, at);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw odd(`${at} is ${kindOf(value)}, not a text, and not a pair {"text", "text_pair"}`);
  }
  const { text, text_pair: pair } = fieldsIn(value, at);
  const first = textIn(text, `${at}.text`);
  return pair === undefined || pair === null
    ? first
    : { text: first, text_pair: textIn(pair, `${at}.text_pair`) };
}

/** As the pipelines read them: a text holds labels divided by commas. */
function labelsOf(labels: readonly string[] | string): readonly string[] {
  if (typeof labels !== 'string') return labels;
  return labels
    .split(',')
    .map((label) => label.trim())
    .filter((label) => label !== '');
}

function refuseOthers(parameters: HfParameters, kind: Question['kind']): void {
  const known: readonly string[] = PARAMETERS[kind];
  for (const [name, value] of Object.entries(parameters)) {
    if (value === null || value === undefined) continue;
    if (known.includes(name) || WITHOUT_EFFECT.includes(name)) continue;
    const message = `parameters.${name.slice(0, 100)} is none of ${kind}, which takes ${known.join(', ')}`;
    throw new PlimsollError('INVALID_REQUEST', message);
  }
}
