import path from 'node:path';
import type { FolderContents } from './folder/contents.js';
import { readJson } from './folder/json.js';
import { roomOf } from './reading/room.js';
import { inDirectory, type TokenizerFiles, tokenizerFilesIn } from './tokenizer-files.js';

/** The tokenizer of a folder that cannot be served. */
export interface BareTokenizer {
  /** By their whole paths. */
  readonly files: TokenizerFiles;
  readonly maxTokens: number;
}

/** The tokenizer of a folder, whatever else it lacks; undefined if it has none. */
export async function bareTokenizer(contents: FolderContents): Promise<BareTokenizer | undefined> {
  const files = tokenizerFilesIn(contents, contents.tokenizers[0] ?? '');
  if (files === undefined) return undefined;
  const read = async (file: string | undefined) =>
    file === undefined ? {} : readJson(path.join(contents.directory, file)).catch(() => ({}));
  const [config, tokenizer] = [await read(contents.configs[0]), await read(files.config)];
  const { maxTokens } = roomOf(config, tokenizer);
  return { files: inDirectory(contents.directory, files), maxTokens };
}
