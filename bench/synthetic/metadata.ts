/** The files beside the model: configuration, tokenizer and a note about what the model is. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClassifierShape, ShapeName } from './shapes.js';

/** Counts the changes of what a seed stands for, so that models of an older recipe are replaced. */
const RECIPE = 1;

/** Files that are copied from the tokenizer's folder as they are. */
export const tokenizerFiles = ['tokenizer.json', 'tokenizer_config.json'] as const;

/** A file of the model's folder with its whole content. */
export interface SmallFile {
  readonly name: string;
  readonly content: Uint8Array;
}

/** The tokenizer's files, read whole. */
export async function readTokenizer(directory: string): Promise<SmallFile[]> {
  return Promise.all(
    tokenizerFiles.map(async (name) => ({ name, content: await readFile(join(directory, name)) })),
  );
}

/** Whether a folder holds that very file. */
export async function sameContent(directory: string, file: SmallFile): Promise<boolean> {
  const found = await readFile(join(directory, file.name)).catch(() => undefined);
  return found?.equals(file.content) ?? false;
}

/** Writes beside, then renames. */
export async function writeSmallFile(directory: string, file: SmallFile): Promise<void> {
  const path = join(directory, file.name);
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, file.content);
  await rename(temporary, path);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Ids in `model.vocab`: an object of token to id (WordPiece, BPE) or a list (Unigram). */
function modelIds(model: unknown): number[] {
  const vocabulary = isRecord(model) ? model.vocab : undefined;
  if (Array.isArray(vocabulary)) {
    return [...vocabulary.keys()];
  }
  return isRecord(vocabulary)
    ? Object.values(vocabulary).filter((id) => typeof id === 'number')
    : [];
}

function addedIds(tokens: unknown): number[] {
  const list: readonly unknown[] = Array.isArray(tokens) ? tokens : [];
  return list
    .map((token) => (isRecord(token) ? token.id : undefined))
    .filter((id) => typeof id === 'number');
}

/**
 * Number of rows that the word embeddings need for a tokenizer: its highest id plus one.
 *
 * @param tokenizer - content of a tokenizer.json
 */
export function vocabularySize(tokenizer: Uint8Array): number {
  const parsed: unknown = JSON.parse(new TextDecoder().decode(tokenizer));
  const root = isRecord(parsed) ? parsed : {};
  let highest = -1;
  for (const id of [...modelIds(root.model), ...addedIds(root.added_tokens)]) {
    highest = Math.max(highest, id);
  }
  if (highest < 0) {
    throw new Error('the tokenizer.json has no vocabulary');
  }
  return highest + 1;
}

/** A JSON file's content: the same bytes for the same value. */
export function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value, undefined, 2)}\n`);
}

/** The model's config.json, the same bytes for the same model. */
export function configFile(name: ShapeName, seed: number, shape: ClassifierShape): SmallFile {
  const labels = Array.from({ length: shape.labels }, (_, index) => `SYNTHETIC_${index}`);
  const content = json({
    architectures: ['BertForSequenceClassification'],
    model_type: 'bert',
    problem_type: 'single_label_classification',
    id2label: Object.fromEntries(labels.map((label, index) => [String(index), label])),
    label2id: Object.fromEntries(labels.map((label, index) => [label, index])),
    vocab_size: shape.vocabulary,
    hidden_size: shape.hidden,
    num_hidden_layers: shape.layers,
    num_attention_heads: shape.heads,
    intermediate_size: shape.ffn,
    max_position_embeddings: shape.maxPositions,
    hidden_act: 'gelu',
    layer_norm_eps: 1e-12,
    _synthetic: { shape: name, seed, recipe: RECIPE },
  });
  return { name: 'config.json', content };
}

/** The model's README.md: two lines. */
export function readmeFile(name: ShapeName, seed: number): SmallFile {
  const text = [
    `Synthetic classifier in the shape of ${name} with RANDOM weights (seed ${seed}).`,
    'It measures speed and memory; its labels mean nothing.',
  ];
  return { name: 'README.md', content: new TextEncoder().encode(`${text.join('\n')}\n`) };
}
