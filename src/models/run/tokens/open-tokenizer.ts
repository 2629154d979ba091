import path from 'node:path';
import { messageOf, PlimsollError } from '../../../errors.js';
import { readBounded } from '../../intake/folder/files.js';
import { type JsonObject, MAX_TOKENIZER_BYTES, readJson } from '../../intake/folder/json.js';
import type { TokenizerFiles } from '../../intake/tokenizer-files.js';
import { type EffectiveTokenizer, effectiveTokenizer } from './tokenizer-json.js';
import { bertTokenizer, byteLevelTokenizer } from './vocabulary.js';
import { type WordFacts, wordFactsOf } from './word-facts.js';

/** The usual files of a folder. */
export function usualFiles(directory: string): TokenizerFiles {
  const [json, config] = ['tokenizer.json', 'tokenizer_config.json'].map((name) =>
    path.join(directory, name),
  );
  const none = { specialTokens: undefined, vocabulary: undefined };
  return { json, config, ...none, vocabularyJson: undefined, merges: undefined, all: [] };
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
  const optional = { optional: true } as const;
  const config = files.config === undefined ? {} : await readJson(files.config, optional);
  const readSpecial = async () =>
    files.specialTokens === undefined ? {} : readJson(files.specialTokens, optional);
  const large = { maxBytes: MAX_TOKENIZER_BYTES };
  if (files.json !== undefined) {
    const read = effectiveTokenizer(await readJson(files.json, large), config);
    // It may name the unknown token; all else is in tokenizer.json, so that a broken one does no harm.
    const special = await readSpecial().catch(() => ({}));
    return { ...read, words: wordFactsOf(read.json, config, special) };
  }
  const special = await readSpecial();
  const file = files.vocabulary ?? files.vocabularyJson ?? '';
  try {
    const read = effectiveTokenizer(await madeOfVocabulary(files, config, special), {
      // What the constructor of its class would set is set already.
      truncation_side: config.truncation_side,
      split_special_tokens: config.split_special_tokens,
    });
    return { ...read, words: wordFactsOf(read.json, config, special) };
  } catch (error) {
    if (error instanceof PlimsollError) throw error;
    const reason = `${path.basename(file)} cannot be used: ${messageOf(error)}`;
    throw new PlimsollError('MODEL_UNUSABLE', reason);
  }
}

async function madeOfVocabulary(
  files: TokenizerFiles,
  config: JsonObject,
  special: JsonObject,
): Promise<JsonObject> {
  const text = async (file: string | undefined) =>
    file === undefined ? '' : (await readBounded(file, MAX_TOKENIZER_BYTES)).toString('utf8');
  if (files.vocabulary !== undefined) {
    return bertTokenizer(await text(files.vocabulary), config, special);
  }
  if (files.vocabularyJson === undefined) throw new Error('there is none');
  const vocab = await readJson(files.vocabularyJson, { maxBytes: MAX_TOKENIZER_BYTES });
  return byteLevelTokenizer(vocab, await text(files.merges), config, special);
}
