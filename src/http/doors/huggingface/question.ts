import { SCORE_FUNCTIONS } from '../../../contract/classify.js';
import { AGGREGATIONS, type HfParameters } from '../../../contract/doors/hugging-face.js';
import { PlimsollError } from '../../../errors.js';
import type { Aggregation } from '../../../models/run/entities.js';
import { asPipelinesRead, type TextInput } from '../../../tasks/input.js';
import { asPipeline, type ScoreChoice } from '../../../tasks/score-choice.js';
import { fieldsIn, kindOf, listIn, odd, oneOrMore, pairIn, textIn } from '../../calls/fields.js';
import type { ModelFacts } from '../../services.js';

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
  'text-classification': ['function_to_apply', 'top_k', 'return_all_scores'],
  'zero-shot-classification': ['candidate_labels', 'hypothesis_template', 'multi_label'],
  'token-classification': ['aggregation_strategy', 'ignore_labels', 'stride'],
};
/** What pipelines take too, and what changes nothing here: long texts are cut, and batches are the scheduler's. */
const WITHOUT_EFFECT = ['truncation', 'padding', 'batch_size', 'max_length'];
/** Labels of an answer that any model has fewer of. */
const MOST_LABELS = 100_000;

/**
 * Decides in this order:
 *
 * 1. With `candidate_labels` it is zero-shot.
 * 2. A model of tokens classifies tokens.
 * 3. Any other model classifies texts, or pairs of texts.
 * 4. A parameter that the task does not take is refused: an answer that ignored it would look right. So is a
 *    `max_length` that would cut more than the model does.
 *
 * @param model its task, and the most tokens that it takes.
 * @param maxInputs texts of one request at most.
 * @throws PlimsollError INVALID_INPUT, INVALID_REQUEST
 */
export function questionOf(
  inputs: unknown,
  parameters: HfParameters,
  model: Pick<ModelFacts, 'task' | 'maxTokens'>,
  maxInputs: number,
): Question {
  const isList = Array.isArray(inputs);
  const labels = parameters.candidate_labels ?? undefined;
  refuseShorter(parameters, model); // 4
  if (labels !== undefined) {
    refuseOthers(parameters, 'zero-shot-classification'); // 4
    return {
      ...{ kind: 'zero-shot-classification', isList }, // 1
      texts: oneOrMore(inputs, 'inputs', maxInputs),
      candidateLabels: labelsOf(labels, maxInputs),
      hypothesisTemplate: parameters.hypothesis_template ?? undefined,
      multiLabel: parameters.multi_label ?? undefined,
    };
  }
  if (model.task === 'token-classification') {
    refuseOthers(parameters, 'token-classification'); // 4
    return {
      ...{ kind: 'token-classification', isList }, // 2
      texts: oneOrMore(inputs, 'inputs', maxInputs),
      aggregation: named('aggregation_strategy', parameters, AGGREGATIONS) ?? 'simple',
      ignoreLabels: parameters.ignore_labels ?? undefined,
      stride: parameters.stride ?? undefined,
    };
  }
  refuseOthers(parameters, 'text-classification'); // 4
  const all = isList ? listIn(inputs, 'inputs', maxInputs) : [inputs];
  return {
    ...{ kind: 'text-classification', isList }, // 3
    inputs: all.map((each, index) => inputOf(each, isList ? `inputs[${index}]` : 'inputs')),
    topK: topKOf(parameters),
    function: named('function_to_apply', parameters, SCORE_FUNCTIONS) ?? asPipeline,
  };
}

function topKOf({ top_k: most, return_all_scores: all }: HfParameters): number | undefined {
  if (most !== undefined && most !== null) return Math.min(most, MOST_LABELS);
  return all === false ? 1 : undefined;
}

/** A name in any case, as pipelines read it. */
function named<T extends string>(
  name: 'function_to_apply' | 'aggregation_strategy',
  { [name]: value }: HfParameters,
  known: readonly T[],
): T | undefined {
  if (value === undefined || value === null) return undefined;
  const found = known.find((one) => one === value.toLowerCase());
  if (found !== undefined) return found;
  const message = `parameters.${name} is ${JSON.stringify(value)}; it is one of ${known.join(', ')}`;
  throw new PlimsollError('INVALID_REQUEST', message);
}

function refuseShorter(
  { max_length: most }: HfParameters,
  { maxTokens }: Pick<ModelFacts, 'maxTokens'>,
): void {
  if (most === undefined || most === null || most >= maxTokens) return;
  const message = `parameters.max_length is ${most}, and the model takes ${maxTokens} tokens: texts are cut there and nowhere else; set max_tokens in its plimsoll.json, or send shorter texts`;
  throw new PlimsollError('INVALID_REQUEST', message);
}

function inputOf(value: unknown, at: string): TextInput {
  if (typeof value === 'string') return textIn(value, at);
  if (Array.isArray(value)) return listedPair(value, at);
  if (typeof value !== 'object' || value === null) {
    throw odd(`${at} is ${kindOf(value)}, not a text, and not a pair {"text", "text_pair"}`);
  }
  const { text, text_pair: pair } = fieldsIn(value, at);
  const names = [`${at}.text`, `${at}.text_pair`] as const;
  return pair === undefined || pair === null
    ? textIn(text, names[0])
    : asPipelinesRead(pairIn(text, pair, names));
}

/** The form of pairs before there were objects: a list of two texts, or that in a list of its own. */
function listedPair(value: readonly unknown[], at: string): TextInput {
  const [only] = value;
  const pair: readonly unknown[] = value.length === 1 && Array.isArray(only) ? only : value;
  if (pair.length !== 2) {
    throw odd(`${at} is a list of ${pair.length}; a pair of texts is a list of two`);
  }
  return asPipelinesRead(pairIn(pair[0], pair[1], [`${at}[0]`, `${at}[1]`]));
}

/**
 * As the pipelines read them: a text holds labels divided by commas.
 *
 * @throws PlimsollError INVALID_INPUT if there are more than `most`: each is a row of the request
 */
function labelsOf(labels: readonly string[] | string, most: number): readonly string[] {
  const count = typeof labels === 'string' ? partsIn(labels, most) : labels.length;
  if (count > most) {
    throw odd(`parameters.candidate_labels has more than ${most} labels (request.max_inputs)`);
  }
  if (typeof labels !== 'string') return labels;
  return labels
    .split(',')
    .map((label) => label.trim())
    .filter((label) => label !== '');
}

/** Parts between commas, counted up to one more than `most`: some megabytes of commas are not made into millions of texts. */
function partsIn(text: string, most: number): number {
  let parts = 1;
  for (let at = text.indexOf(','); at >= 0 && parts <= most; at = text.indexOf(',', at + 1)) {
    parts += 1;
  }
  return parts;
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
