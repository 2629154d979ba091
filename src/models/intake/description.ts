/** What a model's own files say about it, put together. Pure but for {@link readDeclaration}. */
import path from 'node:path';
import { messageOf, PlimsollError } from '../../errors.js';
import { boundedInteger, type JsonObject, readJson } from './folder/json.js';
import {
  type DeclaredLabels,
  declaredLabels,
  expectedLabels,
  labelsFor,
} from './reading/labels.js';
import {
  type Moderation,
  OVERRIDES_FILE,
  type Overrides,
  readOverrides,
} from './reading/overrides.js';
import {
  MAX_TOKENS,
  positionOffset,
  type Room,
  roomOf,
  type Side,
  sideOf,
} from './reading/room.js';
import {
  declaredActivation,
  type GraphEnding,
  NO_LOGITS,
  type ScoreFunction,
  type Scoring,
  scoringOf,
} from './reading/scoring.js';

/** One thing that was decided about a model, and what decided it: shown to whoever asks. */
export interface Decision {
  readonly about: string;
  readonly value: string;
  /** The file and field, the measurement, or the rule. */
  readonly from: string;
}

/** What a model answers for a text: scores of labels for all of it, or for each of its tokens. */
export type ModelTask = 'text-classification' | 'token-classification';

/** What has to be known of a model to serve it, beside its graph. */
export interface ModelDescription {
  readonly task: ModelTask;
  /** What turns logits into scores, unless a request asks for another. */
  readonly scoring: ScoreFunction;
  /** The function that its graph ends in; undefined where the graph gives logits, as nearly all do. */
  readonly endsIn?: GraphEnding;
  /** The same by the rule of transformers' pipeline, which reads less of the files. */
  readonly pipelineScoring: ScoreFunction;
  /** The owner's own choice, if there is one: it overrides every rule. */
  readonly ownerScoring?: ScoreFunction;
  /** Label of each output, by its index. */
  readonly labels: readonly string[];
  /** Most tokens of a text, special tokens included. */
  readonly maxTokens: number;
  readonly padTokenId: number;
  readonly padTypeId: number;
  /** First position of a text, for graphs that want positions as an input. */
  readonly positionOffset: number;
  readonly paddingSide: Side;
  /** Undefined: as tokenizer.json says, which only workers read. */
  readonly truncationSide: Side | undefined;
  /** Rows of the embedding table; undefined where config.json does not say. */
  readonly vocabularySize: number | undefined;
  /** Token types that there are, at least 1. */
  readonly tokenTypes: number;
  /** By label: it is left out of an answer where its score is lower. */
  readonly thresholds?: Readonly<Record<string, number>>;
  readonly moderations?: Readonly<Record<string, Moderation>>;
  readonly decisions: readonly Decision[];
}

/** What decides, beside the model's files, which scores an input gets: a part of the cache's keys. */
export function taskOf(
  { task, maxTokens, scoring }: ModelDescription,
  asked: ScoreFunction = scoring,
): string {
  return `${task} ${asked} ${maxTokens}`;
}

/** Where the files of a description lie; undefined for those that are not there. */
export interface DescriptionFiles {
  readonly config: string;
  readonly tokenizerConfig?: string | undefined;
  readonly sentenceTransformers?: string | undefined;
}

/** What the files say before it is known how many outputs the graph has. */
export interface Declaration {
  readonly task: ModelTask;
  readonly labels: DeclaredLabels;
  readonly activation: Scoring | undefined;
  readonly problemType: unknown;
  readonly room: Room;
  readonly config: JsonObject;
  readonly tokenizer: JsonObject;
  readonly overrides: Overrides;
}

/**
 * Reads the configuration files of a model.
 *
 * @param graphOutputs names of the outputs of its graph, if that can be read
 *
 * @throws PlimsollError MODEL_UNUSABLE, naming the file and what is wrong with it.
 */
export async function readDeclaration(
  files: DescriptionFiles,
  overrides: Overrides = {},
  graphOutputs: readonly string[] = [],
): Promise<Declaration> {
  const optional = { optional: true } as const;
  const config = await readJson(files.config);
  const tokenizer = files.tokenizerConfig ? await readJson(files.tokenizerConfig, optional) : {};
  const others = files.sentenceTransformers
    ? await readJson(files.sentenceTransformers, optional)
    : {};
  try {
    const task = taskOfConfig(config, overrides, graphOutputs);
    if (task === 'token-classification') refuseOverrides(overrides);
    // What the owner says makes what the files say of no account, wrong or not.
    const activation =
      overrides.function === undefined ? declaredActivation(config, others) : undefined;
    const labels = declaredLabels(config);
    const room = roomOf(config, tokenizer);
    const problemType = config.problem_type;
    return { task, labels, activation, problemType, room, config, tokenizer, overrides };
  } catch (error) {
    if (error instanceof PlimsollError) throw error;
    throw new PlimsollError('MODEL_UNUSABLE', `config.json cannot be used: ${messageOf(error)}`);
  }
}

/** The description of a folder whose files have their usual names. @throws PlimsollError MODEL_UNUSABLE */
export async function describeModel(directory: string): Promise<ModelDescription> {
  const [config, tokenizerConfig] = ['config.json', 'tokenizer_config.json'].map((name) =>
    path.join(directory, name),
  );
  return describe(await readDeclaration({ config: config ?? '', tokenizerConfig }));
}

/**
 * Reads the owner's own file, if there is one.
 *
 * @throws PlimsollError MODEL_UNUSABLE
 */
export async function readOverridesFile(file: string | undefined): Promise<Overrides> {
  if (file === undefined) return {};
  const content = await readJson(file);
  try {
    return readOverrides(content);
  } catch (error) {
    const reason = `${OVERRIDES_FILE} cannot be used: ${messageOf(error)}`;
    throw new PlimsollError('MODEL_UNUSABLE', reason);
  }
}

/** The largest vocabularies have a million tokens. */
const MAX_VOCABULARY = 100_000_000;
/** BERT's. */
const USUAL_TYPES = 2;

/** Architectures by what they give scores for: a text, or each of its tokens. */
const HEADS: readonly (readonly [ModelTask, RegExp])[] = [
  ['text-classification', /(?:Sequence|Text)Classification/],
  ['token-classification', /TokenClassification/],
];
/** Heads of other tasks: their scores are none of a text's labels. */
const OTHER_TASK =
  /MaskedLM|CausalLM|LMHead|ConditionalGeneration|QuestionAnswering|MultipleChoice|PreTraining|NextSentence|Image|Audio|Object/;
/** Names of outputs that hold scores of labels. */
const SCORES = /logit|score|prob|class|label|predict/i;
/** Architectures that end before any head. */
const ENCODER = /Model$/;

/** Architectures that the config names, as far as they are names. */
export function architecturesOf(config: JsonObject): readonly string[] {
  const named = Array.isArray(config.architectures) ? config.architectures : [];
  return named.filter((name): name is string => typeof name === 'string');
}

/**
 * The task of the first architecture that has one. Without any name it is text classification, as far as the graph's
 * outputs allow; so it is for an architecture of an unknown head whose graph has an output of scores. One that names an encoder is
 * believed, unless the owner names labels: exports of encoders call their outputs anything.
 */
function taskOfConfig(
  config: JsonObject,
  overrides: Overrides,
  graphOutputs: readonly string[],
): ModelTask {
  const names = architecturesOf(config);
  if (names.length === 0) return 'text-classification';
  for (const name of names) {
    const head = HEADS.find(([, pattern]) => pattern.test(name));
    if (head !== undefined) return head[0];
  }
  if (names.some((name) => OTHER_TASK.test(name))) throw noHead(names);
  const isEncoder = names.every((name) => ENCODER.test(name)) && overrides.labels === undefined;
  if (!isEncoder && graphOutputs.some((name) => SCORES.test(name))) return 'text-classification';
  throw noHead(names);
}

function noHead(names: readonly string[]): Error {
  const all = names.join(', ').slice(0, 200);
  const what = names.every((name) => ENCODER.test(name))
    ? 'an encoder without a classification head'
    : 'made for another task';
  return new Error(
    `its architecture is ${all}, ${what}; models that end in ForSequenceClassification or ForTokenClassification can be served: fine-tune one, or take a classifier that was made from it. If its graph gives scores of labels all the same, name them in plimsoll.json ("labels")`,
  );
}

function taskFrom(config: JsonObject): string {
  const names = architecturesOf(config);
  if (names.length > 0 && !names.some((name) => HEADS.some(([, head]) => head.test(name)))) {
    return 'the outputs of its graph, as its architecture tells no head';
  }
  return names.length > 0 ? 'config.json: architectures' : 'config.json names no architecture';
}

/** What an owner can say of the scores of texts means nothing for tokens. */
function refuseOverrides({ function: scoring, thresholds, moderations }: Overrides): void {
  const told = Object.entries({ function: scoring, thresholds, moderations });
  const named = told.filter(([, value]) => value !== undefined).map(([name]) => name);
  if (named.length === 0) return;
  const reason = `${OVERRIDES_FILE} names ${named.join(', ')}, which only models that classify texts have; this one classifies tokens: leave it out`;
  throw new PlimsollError('MODEL_UNUSABLE', reason);
}

/** A threshold that no label has would never be applied. */
function refuseStrayThresholds({ thresholds = {} }: Overrides, labels: readonly string[]): void {
  const known = new Set(labels);
  const stray = Object.keys(thresholds).find((label) => !known.has(label));
  if (stray === undefined) return;
  const reason = `${OVERRIDES_FILE} has a threshold for the label "${stray.slice(0, 100)}"; its labels are ${shortened(labels)}`;
  throw new PlimsollError('MODEL_UNUSABLE', reason);
}

/** The score below which a label is left out of an answer; undefined if there is none. */
export function thresholdOf(
  { thresholds }: Pick<ModelDescription, 'thresholds'>,
  label: string,
): number | undefined {
  // A label may be called "constructor".
  return thresholds !== undefined && Object.hasOwn(thresholds, label)
    ? thresholds[label]
    : undefined;
}

/** What was found out about a model when it was prepared; none of it before that. */
export interface Measured {
  /** Outputs of the graph. */
  readonly labelCount: number;
  /** The function that the graph ends in, if it does. */
  readonly endsIn?: GraphEnding;
  /** The most tokens that the graph takes, if that is fewer than the files say. */
  readonly maxTokens: number;
  readonly decisions: readonly Decision[];
}

/**
 * Puts together what the files say, what their owner overrides, and what was measured.
 *
 * @throws PlimsollError MODEL_UNUSABLE if the graph contradicts the files
 */
export function describe(declaration: Declaration, measured?: Measured): ModelDescription {
  const { task, config, tokenizer, overrides } = declaration;
  const labels = labelsOf(declaration, measured?.labelCount);
  const areSure = measured !== undefined || overrides.labels !== undefined;
  if (areSure) refuseStrayThresholds(overrides, labels.names);
  const scoring = scoringWith(declaration, labels.names.length, measured?.endsIn);
  const room = roomWith(declaration, measured);
  const truncationSide = tokenizer.truncation_side;
  const offset = positionOffset(config);
  const padTokenId = boundedInteger(config.pad_token_id, 0, MAX_TOKENS) ?? (offset > 0 ? 1 : 0);
  const { thresholds, moderations, function: ownerScoring } = overrides;
  return {
    task,
    labels: labels.names,
    scoring: scoring.function,
    ...(measured?.endsIn === undefined ? {} : { endsIn: measured.endsIn }),
    pipelineScoring: scoringWith(
      { ...declaration, activation: undefined },
      labels.names.length,
      measured?.endsIn,
    ).function,
    ...(ownerScoring === undefined ? {} : { ownerScoring }),
    maxTokens: room.maxTokens,
    padTokenId,
    padTypeId: boundedInteger(tokenizer.pad_token_type_id, 0, MAX_TOKENS) ?? 0,
    positionOffset: offset,
    paddingSide: sideOf(tokenizer.padding_side),
    truncationSide: typeof truncationSide === 'string' ? sideOf(truncationSide) : undefined,
    vocabularySize: boundedInteger(config.vocab_size, 1, MAX_VOCABULARY),
    tokenTypes: Math.max(1, boundedInteger(config.type_vocab_size, 0, MAX_TOKENS) ?? USUAL_TYPES),
    ...(thresholds === undefined ? {} : { thresholds }),
    ...(moderations === undefined ? {} : { moderations }),
    decisions: [
      { about: 'task', value: task, from: taskFrom(config) },
      { about: 'labels', value: shortened(labels.names), from: labels.from },
      { about: 'function', value: scoring.function, from: scoring.from },
      { about: 'max_tokens', value: String(room.maxTokens), from: room.from },
      ...Object.keys(thresholds ?? {}).map((label) => ({
        ...{ about: `threshold of ${label}`, value: String(thresholds?.[label]) },
        from: `${OVERRIDES_FILE}: thresholds`,
      })),
      ...(measured?.decisions ?? []),
    ],
  };
}

/**
 * 1. Tokens: softmax, whatever the files say.
 * 2. The graph ends in a function: that one, as nothing is applied to it twice; of the owner's wishes only what can be
 *    had of it.
 * 3. What the owner says.
 * 4. What the files say, or their kind is.
 */
function scoringWith(
  { task, overrides, activation, problemType }: Declaration,
  labelCount: number,
  endsIn: GraphEnding | undefined,
): Scoring {
  if (task === 'token-classification') {
    return {
      function: 'softmax',
      from: 'token classification: the labels of a token exclude one another',
    }; // 1
  }
  if (endsIn !== undefined && (overrides.function ?? 'none') === 'none') {
    const from = `the graph itself ends in ${endsIn}, so that nothing more is applied`;
    return { function: endsIn, from }; // 2
  }
  if (overrides.function === 'sigmoid' && endsIn === 'softmax') {
    const reason = `${OVERRIDES_FILE} asks for sigmoid: ${NO_LOGITS}`;
    throw new PlimsollError('MODEL_UNUSABLE', reason);
  }
  if (overrides.function !== undefined) {
    return { function: overrides.function, from: `${OVERRIDES_FILE}: function` }; // 3
  }
  return activation ?? scoringOf(problemType, labelCount); // 4
}

function labelsOf(
  { labels, overrides }: Declaration,
  width: number | undefined,
): { readonly names: readonly string[]; readonly from: string } {
  const own = overrides.labels;
  if (own !== undefined) {
    if (width !== undefined && width !== own.length) {
      const reason = `${OVERRIDES_FILE} names ${own.length} labels, and its graph has ${width} outputs`;
      throw new PlimsollError('MODEL_UNUSABLE', reason);
    }
    return { names: own, from: `${OVERRIDES_FILE}: labels` };
  }
  if (labels.problem !== undefined) {
    const reason = `${labels.problem}: mend config.json, or name the labels in ${OVERRIDES_FILE}`;
    throw new PlimsollError('MODEL_UNUSABLE', reason);
  }
  if (width === undefined) return { names: expectedLabels(labels), from: labels.from };
  const names = labelsFor(labels, width);
  if ('problem' in names) {
    const reason = `${names.problem}: mend config.json, or name the labels in ${OVERRIDES_FILE}`;
    throw new PlimsollError('MODEL_UNUSABLE', reason);
  }
  return { names, from: labels.from };
}

function roomWith({ room, overrides }: Declaration, measured: Measured | undefined): Room {
  const { maxTokens: own } = overrides;
  const asked =
    own === undefined ? room : { maxTokens: own, from: `${OVERRIDES_FILE}: max_tokens` };
  if (measured === undefined || measured.maxTokens >= asked.maxTokens) return asked;
  const from = `the graph takes no more, as measured (${asked.maxTokens} by ${asked.from})`;
  return { maxTokens: measured.maxTokens, from };
}

const MOST_SHOWN = 20;

function shortened(labels: readonly string[]): string {
  const shown = labels.slice(0, MOST_SHOWN).join(', ').slice(0, 1000);
  return labels.length > MOST_SHOWN ? `${shown}, … (${labels.length})` : shown;
}
