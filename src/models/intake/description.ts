import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, PlimsollError, systemCodeOf } from '../../errors.js';

/** How logits become scores: they compete (softmax), or each label stands alone (sigmoid). */
export type LabelScheme = 'single-label' | 'multi-label';

/** What a model's own files say about it. */
export interface ModelDescription {
  readonly task: 'text-classification';
  readonly scheme: LabelScheme;
  /** Label of each output, by its index. */
  readonly labels: readonly string[];
  /** Most tokens that fit, special tokens included. */
  readonly maxTokens: number;
  readonly padTokenId: number;
}

/** What decides, beside the model's files, which scores an input gets: a part of the cache's keys. */
export function taskOf({ task, scheme, maxTokens }: ModelDescription): string {
  return `${task} ${scheme} ${maxTokens}`;
}

/** Bounds that no real classifier reaches; a file beyond them is broken or hostile. */
const MAX_LABELS = 100_000;
const MAX_TOKENS = 1_048_576;
const MAX_JSON_BYTES = 256 * 1024 * 1024;
const DEFAULT_MAX_TOKENS = 512;

/**
 * Reads `config.json` and `tokenizer_config.json` of a model folder in Hugging Face layout.
 *
 * @throws PlimsollError MODEL_UNUSABLE, naming the file and what is wrong with it.
 */
export async function describeModel(directory: string): Promise<ModelDescription> {
  const config = await readJson(path.join(directory, 'config.json'));
  const tokenizer = await readJson(path.join(directory, 'tokenizer_config.json'), true);
  const labels = readLabels(config);
  return {
    task: readTask(config),
    scheme: config.problem_type === 'multi_label_classification' ? 'multi-label' : 'single-label',
    labels,
    maxTokens: readMaxTokens(config, tokenizer),
    padTokenId: boundedInteger(config.pad_token_id, 0, MAX_TOKENS) ?? 0,
  };
}

/** A JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Reads a file that must hold one JSON object; an optional one that is missing is empty.
 *
 * @throws PlimsollError MODEL_UNUSABLE
 */
export async function readJson(file: string, optional = false): Promise<JsonObject> {
  const name = path.basename(file);
  try {
    const content = await readFile(file);
    if (content.length > MAX_JSON_BYTES) throw new Error('it is larger than 256 MB');
    const value: unknown = JSON.parse(content.toString('utf8'));
    if (!isObject(value)) throw new Error('it does not hold a JSON object');
    return value;
  } catch (error) {
    if (optional && systemCodeOf(error) === 'ENOENT') return {};
    const reason = systemCodeOf(error) === 'ENOENT' ? 'it is missing' : messageOf(error);
    throw new PlimsollError('MODEL_UNUSABLE', `${name} cannot be used: ${reason}`);
  }
}

function readTask(config: JsonObject): 'text-classification' {
  const architectures = Array.isArray(config.architectures) ? config.architectures : [];
  const names = architectures.filter((name): name is string => typeof name === 'string');
  if (names.length > 0 && !names.some((name) => name.endsWith('ForSequenceClassification'))) {
    throw unusable(
      `its architecture is ${names.join(', ').slice(0, 200)}; models that end in ForSequenceClassification can be served`,
    );
  }
  return 'text-classification';
}

function readLabels(config: JsonObject): readonly string[] {
  const map = config.id2label;
  if (!isObject(map)) throw unusable('id2label is missing');
  const count = Object.keys(map).length;
  if (count < 1 || count > MAX_LABELS) throw unusable(`id2label has ${count} labels`);
  const labels: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const label = map[String(index)];
    if (typeof label !== 'string') throw unusable(`id2label has no text for output ${index}`);
    labels.push(label);
  }
  return labels;
}

/**
 * The smaller of what the tokenizer and the position table allow. Hugging Face writes 1e30 as
 * `model_max_length` for "not known"; RoBERTa-like tables lose `pad_token_id` + 1 positions
 * (positions start behind the padding index there).
 */
function readMaxTokens(config: JsonObject, tokenizer: JsonObject): number {
  const positions = boundedInteger(config.max_position_embeddings, 2, MAX_TOKENS);
  const family = config.model_type;
  const offset =
    family === 'roberta' || family === 'xlm-roberta' || family === 'camembert'
      ? (boundedInteger(config.pad_token_id, 0, 1000) ?? 1) + 1
      : 0;
  const fromTable = positions === undefined ? undefined : positions - offset;
  const fromTokenizer = boundedInteger(tokenizer.model_max_length, 2, MAX_TOKENS);
  const known = [fromTable, fromTokenizer].filter((value) => value !== undefined);
  const maxTokens = known.length > 0 ? Math.min(...known) : DEFAULT_MAX_TOKENS;
  if (maxTokens < 4) throw unusable(`it has room for ${maxTokens} tokens only`);
  return maxTokens;
}

function boundedInteger(value: unknown, min: number, max: number): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
    ? value
    : undefined;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unusable(reason: string): PlimsollError {
  return new PlimsollError('MODEL_UNUSABLE', `config.json cannot be used: ${reason}`);
}
