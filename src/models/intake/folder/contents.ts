import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { asNoFile, NoFileError, readBounded } from './files.js';

/** What a model's folder holds, as far as it concerns a model. Files are named relative to the folder. */
export interface FolderContents {
  readonly directory: string;
  /** Every file that was seen, in the folder and in the sub-folders that belong to it. */
  readonly files: readonly string[];
  readonly graphs: readonly string[];
  readonly safetensors: readonly string[];
  /** Weights in forms that are not read: pickles, TensorFlow, Flax, GGUF and so on. */
  readonly otherWeights: readonly string[];
  readonly tokenizers: readonly string[];
  readonly configs: readonly string[];
}

/** More names than a model's folder ever has; a folder with more is no model's. */
const MAX_NAMES = 10_000;
const MAX_PARTS = 50;

const PATTERNS = {
  graphs: /\.onnx$/i,
  safetensors: /\.safetensors$/i,
  otherWeights:
    /^(?:pytorch_model.*\.bin|model.*\.bin|adapter_model\.bin|.*\.(?:pt|pth|ckpt|h5|msgpack|ot|gguf|pb|tflite|mlmodel|pkl))$/i,
  tokenizers:
    /^(?:tokenizer\.json|tokenizer_config\.json|vocab\.txt|vocab\.json|merges\.txt|.*\.(?:spm|bpe\.model)|spiece\.model|sentencepiece.*\.model|tokenizer\.model)$/i,
  configs: /^config\.json$/,
} as const;

/** Whether a folder, by the names of its own files alone, looks like a model's. */
export function looksLikeModel(names: readonly string[]): boolean {
  return names.some((name) => Object.values(PATTERNS).some((pattern) => pattern.test(name)));
}

/** Names of files and folders; entries that are neither are among the files, so that reading them tells what they are. */
export interface Listing {
  readonly files: readonly string[];
  readonly folders: readonly string[];
  /** Links that lead nowhere, or in a circle, with the reason. */
  readonly lost: readonly { readonly name: string; readonly reason: string }[];
}

/**
 * Lists a folder, links followed.
 *
 * @throws NoFileError if it cannot be read
 */
export async function listFolder(directory: string): Promise<Listing> {
  let entries: Dirent[];
  try {
    entries = await readdir(directory, { withFileTypes: true });
  } catch (error) {
    throw asNoFile(error);
  }
  if (entries.length > MAX_NAMES) throw new NoFileError(`it holds ${entries.length} files`);
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  const files: string[] = [];
  const folders: string[] = [];
  const lost: { name: string; reason: string }[] = [];
  for (const entry of entries) {
    if (!entry.isSymbolicLink()) (entry.isDirectory() ? folders : files).push(entry.name);
    else {
      try {
        const isFolder = (await stat(path.join(directory, entry.name))).isDirectory();
        (isFolder ? folders : files).push(entry.name);
      } catch (error) {
        const { missing, message } = asNoFile(error);
        lost.push({ name: entry.name, reason: missing ? 'it is a link to nothing' : message });
      }
    }
  }
  return { files, folders, lost };
}

/**
 * What a folder holds, with the sub-folders that belong to it: `onnx`, and those without a config.json of their own
 * if the folder has one. Undefined if it holds nothing of a model.
 *
 * @throws NoFileError if the folder cannot be read
 */
export async function contentsOf(
  directory: string,
  listing?: Listing,
): Promise<FolderContents | undefined> {
  const { files: own, folders, lost } = listing ?? (await listFolder(directory));
  const isModel = looksLikeModel(own) || lost.some(({ name }) => looksLikeModel([name]));
  const files = [...own, ...lost.map(({ name }) => name)];
  for (const folder of folders.slice(0, MAX_PARTS)) {
    if (!isModel && folder !== 'onnx') continue;
    const part = await listFolder(path.join(directory, folder)).catch(() => undefined);
    if (part === undefined) continue;
    const isOther = part.files.includes('config.json') && folder !== 'onnx';
    if (isOther) continue;
    const names = [...part.files, ...part.lost.map(({ name }) => name)];
    files.push(...names.map((name) => path.join(folder, name)));
  }
  if (
    !isModel &&
    !files.some((file) => path.dirname(file) === 'onnx' && PATTERNS.graphs.test(file))
  ) {
    return undefined;
  }
  const of = (pattern: RegExp) => files.filter((file) => pattern.test(path.basename(file)));
  return {
    directory,
    files,
    graphs: of(PATTERNS.graphs),
    safetensors: of(PATTERNS.safetensors),
    otherWeights: of(PATTERNS.otherWeights),
    tokenizers: of(PATTERNS.tokenizers),
    configs: of(PATTERNS.configs),
  };
}

/** The file of that name beside another one, else in the folder itself. */
export function nearestFile(
  { files }: FolderContents,
  name: string,
  beside: string,
): string | undefined {
  const near = path.join(path.dirname(beside), name);
  if (files.includes(near)) return near;
  return files.includes(name) ? name : undefined;
}

/** First line of the small text file that stands for a large one where Git LFS has not fetched it. */
const LFS_POINTER = 'version https://git-lfs.github.com/spec/v1';
/** Such files have some 130 bytes. */
const MAX_POINTER_BYTES = 1024;

/**
 * Whether the file only points to content that Git LFS keeps elsewhere.
 *
 * @param bytes its size, where that is known
 */
export async function isLfsPointer(file: string, bytes = 0): Promise<boolean> {
  if (bytes > MAX_POINTER_BYTES) return false;
  try {
    return (await readBounded(file, MAX_POINTER_BYTES)).toString('latin1').startsWith(LFS_POINTER);
  } catch {
    return false;
  }
}
