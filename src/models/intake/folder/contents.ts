import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { asNoFile, NoFileError } from './files.js';

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
 * What a folder holds, with the sub-folders that belong to it, two levels deep. Undefined if it holds nothing of a model.
 *
 * 1. `onnx` always does.
 * 2. So do others without a config.json of their own, if the folder has anything of a model.
 * 3. One with a config.json of its own does only where the folder has a config.json and weights, but no graph: then it
 *    is the export of those weights.
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
  // The usual one first, as it must not fall behind the bound.
  const ordered = [...folders].sort((a, b) => Number(b === 'onnx') - Number(a === 'onnx'));
  const exports: string[] = [];
  for (const folder of ordered.slice(0, MAX_PARTS)) {
    if (!isModel && folder !== 'onnx') continue; // 1
    const part = await partOf(directory, folder);
    const isOther = folder !== 'onnx' && part.includes(path.join(folder, 'config.json'));
    (isOther ? exports : files).push(...part); // 2
  }
  const has = (pattern: RegExp) => files.some((file) => pattern.test(path.basename(file)));
  const hasWeights = own.some(
    (name) => PATTERNS.otherWeights.test(name) || PATTERNS.safetensors.test(name),
  );
  if (own.includes('config.json') && hasWeights && !has(PATTERNS.graphs)) {
    files.push(...exports); // 3
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

/** Files of a sub-folder and of the folders in it, named from the model's folder; none if it cannot be read. */
async function partOf(directory: string, folder: string): Promise<readonly string[]> {
  const part = await listFolder(path.join(directory, folder)).catch(() => undefined);
  if (part === undefined) return [];
  const named = ({ files, lost }: Listing, at: string) =>
    [...files, ...lost.map(({ name }) => name)].map((name) => path.join(at, name));
  const found = [...named(part, folder)];
  for (const inner of part.folders.slice(0, MAX_PARTS)) {
    const at = path.join(folder, inner);
    const deeper = await listFolder(path.join(directory, at)).catch(() => undefined);
    const isOther = folder !== 'onnx' && deeper?.files.includes('config.json') === true;
    if (deeper !== undefined && !isOther) found.push(...named(deeper, at));
  }
  return found;
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
