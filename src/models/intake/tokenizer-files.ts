import path from 'node:path';
import { type FolderContents, nearestFile } from './folder/contents.js';
import type { VocabularyFiles } from './reading/tokenizer-class.js';

/** The files that a tokenizer is made of, below the model's folder. */
export interface TokenizerFiles {
  readonly json: string | undefined;
  readonly config: string | undefined;
  readonly specialTokens: string | undefined;
  /** Vocabulary of a BERT tokenizer, one token a line; read where there is no tokenizer.json. */
  readonly vocabulary: string | undefined;
  /** Vocabulary and merges of a byte-level tokenizer; read where there is nothing else. */
  readonly vocabularyJson: string | undefined;
  readonly merges: string | undefined;
  /** Tokens that were added to a vocabulary alone. */
  readonly addedTokens?: string | undefined;
  /** The model's own configuration: it tells the tokenizer's class where no other file does. */
  readonly modelConfig?: string | undefined;
  /** Those that are used. */
  readonly all: readonly string[];
}

/** The tokenizer's files beside another one, else in the folder itself; undefined if no tokenizer can be made of them. */
export function tokenizerFilesIn(
  contents: FolderContents,
  beside: string,
): TokenizerFiles | undefined {
  const find = (name: string) => nearestFile(contents, name, beside);
  const json = find('tokenizer.json');
  const [config, specialTokens] = [find('tokenizer_config.json'), find('special_tokens_map.json')];
  const vocabulary = json === undefined ? find('vocab.txt') : undefined;
  const isBytes = json === undefined && vocabulary === undefined;
  const [vocabularyJson, merges] = isBytes ? [find('vocab.json'), find('merges.txt')] : [];
  const isWhole = json ?? vocabulary ?? (vocabularyJson && merges);
  if (isWhole === undefined) return undefined;
  const addedTokens = json === undefined ? find('added_tokens.json') : undefined;
  const files = { json, config, specialTokens, vocabulary, vocabularyJson, merges, addedTokens };
  const all = Object.values(files).filter((file) => file !== undefined);
  return { ...files, modelConfig: find('config.json'), all };
}

/** What a tokenizer without a tokenizer.json is made of. */
export function vocabularyIn(files: TokenizerFiles): VocabularyFiles | undefined {
  if (files.json !== undefined) return undefined;
  return files.vocabulary === undefined ? 'vocab.json' : 'vocab.txt';
}

/** The same files by their whole paths. */
export function inDirectory(directory: string, files: TokenizerFiles): TokenizerFiles {
  const whole = (file: string | undefined) => file && path.join(directory, file);
  return {
    json: whole(files.json),
    config: whole(files.config),
    specialTokens: whole(files.specialTokens),
    vocabulary: whole(files.vocabulary),
    vocabularyJson: whole(files.vocabularyJson),
    merges: whole(files.merges),
    addedTokens: whole(files.addedTokens),
    modelConfig: whole(files.modelConfig),
    all: files.all.map((file) => path.join(directory, file)),
  };
}
