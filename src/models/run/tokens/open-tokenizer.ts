import path from 'node:path';
import { messageOf, PlimsollError } from '../../../errors.js';
import { readBounded } from '../../intake/folder/files.js';
import { type JsonObject, MAX_TOKENIZER_BYTES, readJson } from '../../intake/folder/json.js';
import {
  tokenizerClass,
  tokenizerProblem,
  vocabularyKind,
} from '../../intake/reading/tokenizer-class.js';
import { type TokenizerFiles, vocabularyIn } from '../../intake/tokenizer-files.js';
import { withAddedTokens } from './added-tokens.js';
import { givesTokenTypes } from './token-types.js';
import { type EffectiveTokenizer, effectiveTokenizer } from './tokenizer-json.js';
import { byteLevelTokenizer, wordPieceTokenizer } from './vocabulary.js';
import { type WordFacts, wordFactsOf } from './word-facts.js';

/** The usual files of a folder. */
export function usualFiles(directory: string): TokenizerFiles {
  const [json, config, modelConfig] = [
    'tokenizer.json',
    'tokenizer_config.json',
    'config.json',
  ].map((name) => path.join(directory, name));
  const none = { specialTokens: undefined, vocabulary: undefined };
  return {
    json,
    config,
    ...none,
    vocabularyJson: undefined,
    merges: undefined,
    modelConfig,
    all: [],
  };
}

/** The small files that say what a tokenizer's own file does not. */
interface Settings {
  readonly config: JsonObject;
  readonly special: JsonObject;
  /** The class of transformers; undefined if no file tells it. */
  readonly className: string | undefined;
}

/**
 * A tokenizer as its files say, whichever of them there are.
 *
 * @param files by their whole paths
 * @throws PlimsollError MODEL_UNUSABLE
 */
export async function readTokenizer(
  files: TokenizerFiles,
): Promise<EffectiveTokenizer & { readonly words: WordFacts }> {
  const config = await readOptional(files.config);
  // It only tells the class here; whoever serves the model has read it with all its faults.
  const model = await readOptional(files.modelConfig).catch(() => ({}));
  const className = tokenizerClass(config, model);
  const problem = tokenizerProblem(config, model, vocabularyIn(files));
  if (problem !== undefined) throw new PlimsollError('MODEL_UNUSABLE', problem);
  if (files.json !== undefined) {
    const large = { maxBytes: MAX_TOKENIZER_BYTES };
    const read = effectiveTokenizer(await readJson(files.json, large), config, className);
    // It may name the unknown token; all else is in tokenizer.json, so that a broken one does no harm.
    const special = await readOptional(files.specialTokens).catch(() => ({}));
    return { ...read, words: wordFactsOf(read.json, config, special) };
  }
  const special = await readOptional(files.specialTokens);
  const file = files.vocabulary ?? files.vocabularyJson ?? '';
  try {
    const settings = { config, special, className };
    const made = await madeOfVocabulary(files, settings);
    const added = await readOptional(files.addedTokens);
    const read = effectiveTokenizer(withAddedTokens(made, added, config, special), {
      // What the constructor of its class would set is set already.
      truncation_side: config.truncation_side,
      split_special_tokens: config.split_special_tokens,
      model_input_names: givesTokenTypes(config, className) ? undefined : ['input_ids'],
    });
    return { ...read, words: wordFactsOf(read.json, config, special) };
  } catch (error) {
    if (error instanceof PlimsollError) throw error;
    const reason = `${path.basename(file)} cannot be used: ${messageOf(error)}`;
    throw new PlimsollError('MODEL_UNUSABLE', reason);
  }
}

function readOptional(file: string | undefined): Promise<JsonObject> {
  return file === undefined ? Promise.resolve({}) : readJson(file, { optional: true });
}

async function madeOfVocabulary(
  files: TokenizerFiles,
  { config, special, className }: Settings,
): Promise<JsonObject> {
  const text = async (file: string | undefined) =>
    file === undefined ? '' : (await readBounded(file, MAX_TOKENIZER_BYTES)).toString('utf8');
  const kind = className === undefined ? undefined : vocabularyKind(className);
  if (files.vocabulary !== undefined) {
    const isOther = kind === 'mpnet' || kind === 'funnel';
    return wordPieceTokenizer(
      await text(files.vocabulary),
      isOther ? kind : 'bert',
      config,
      special,
    );
  }
  if (files.vocabularyJson === undefined) throw new Error('there is none');
  const vocab = await readJson(files.vocabularyJson, { maxBytes: MAX_TOKENIZER_BYTES });
  const isBytes = kind === 'roberta' || kind === 'deberta' || kind === 'gpt2';
  const merges = await text(files.merges);
  return byteLevelTokenizer(vocab, merges, isBytes ? kind : undefined, config, special);
}
