/** How logits become scores: which function a model's files ask for. Pure. */
import { PlimsollError } from '../../../errors.js';
import { isObject, type JsonObject } from '../folder/json.js';

/**
 * What is applied to the logits of one text. `softmax`: labels compete, scores add up to 1; `sigmoid`: each label
 * stands alone; `none`: the raw numbers, of any sign.
 */
export type ScoreFunction = 'softmax' | 'sigmoid' | 'none';

export const SCORE_FUNCTIONS: readonly ScoreFunction[] = ['softmax', 'sigmoid', 'none'];

export interface Scoring {
  readonly function: ScoreFunction;
  /** The file and field that says so. */
  readonly from: string;
}

/** The function that a graph itself ends in. */
export type GraphEnding = 'softmax' | 'sigmoid';

/**
 * The function to apply where a request asks for one. Pure.
 *
 * 1. The graph ends before any: what was asked for.
 * 2. `none` of a graph that ends in a function: what the graph gives, which is that function's values.
 * 3. Softmax hides its logits up to a constant: the logistic function cannot be had of them.
 *
 * @throws PlimsollError INVALID_INPUT
 */
export function functionFor(
  asked: ScoreFunction | undefined,
  endsIn: GraphEnding | undefined,
): ScoreFunction | undefined {
  if (asked === undefined || endsIn === undefined) return asked; // 1
  if (asked === 'none') return endsIn; // 2
  if (asked === 'sigmoid' && endsIn === 'softmax') {
    throw new PlimsollError('INVALID_INPUT', `function_to_apply sigmoid: ${NO_LOGITS}`); // 3
  }
  return asked;
}

/** Why a graph that ends in Softmax has no logits. */
export const NO_LOGITS =
  'the model’s graph ends in Softmax, so that its logits are known up to a constant only: ask for softmax, or export the model without that last step';

/** Activations by the last part of the name that Python has for their class. */
const ACTIVATIONS: Readonly<Record<string, ScoreFunction>> = {
  Identity: 'none',
  Sigmoid: 'sigmoid',
  Softmax: 'softmax',
};

/**
 * What a cross-encoder of sentence-transformers says about its activation: in a file of its own, in `config.json`,
 * or in `config.json` as versions before 4 wrote it.
 *
 * @throws Error if it names another activation than can be applied here
 */
export function declaredActivation(
  config: JsonObject,
  sentenceTransformers: JsonObject,
): Scoring | undefined {
  const inner = isObject(config.sentence_transformers) ? config.sentence_transformers : {};
  const places: readonly (readonly [unknown, string])[] = [
    [sentenceTransformers.activation_fn, 'config_sentence_transformers.json: activation_fn'],
    [inner.activation_fn, 'config.json: sentence_transformers.activation_fn'],
    [
      config.sbert_ce_default_activation_function,
      'config.json: sbert_ce_default_activation_function',
    ],
  ];
  for (const [value, from] of places) {
    if (typeof value !== 'string') continue;
    const name = value.slice(value.lastIndexOf('.') + 1);
    const found = ACTIVATIONS[name];
    if (found !== undefined) return { function: found, from };
    const known = Object.keys(ACTIVATIONS).join(', ');
    throw new Error(
      `${from} is ${value.slice(0, 100)}; ${known} can be applied; "function" in plimsoll.json overrides it`,
    );
  }
  return undefined;
}

/**
 * The function by the rule of transformers' TextClassificationPipeline (`postprocess`, 4.57).
 *
 * 1. `regression`: none.
 * 2. `multi_label_classification`, or one output: sigmoid.
 * 3. Otherwise softmax.
 */
export function scoringOf(problemType: unknown, width: number): Scoring {
  if (problemType === 'regression') {
    return { function: 'none', from: 'config.json: problem_type regression' }; // 1
  }
  if (problemType === 'multi_label_classification') {
    return { function: 'sigmoid', from: `config.json: problem_type ${problemType}` }; // 2
  }
  if (width === 1) return { function: 'sigmoid', from: 'one output, and no regression' };
  return { function: 'softmax', from: `${width} outputs, and no other problem_type` }; // 3
}
