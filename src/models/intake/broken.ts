/** Why a folder cannot be served: what it holds, what is missing, and what mends it. Pure. */
import path from 'node:path';
import type { ModelTask } from './description.js';
import type { FolderContents } from './folder/contents.js';

const exportAs = (task: ModelTask) => `optimum-cli export onnx --model . --task ${task} .`;
const saveAs = (task: ModelTask) => {
  const head = task === 'token-classification' ? 'Token' : 'Sequence';
  return `python -c "from transformers import AutoModelFor${head}Classification as M; M.from_pretrained('.').save_pretrained('.')"`;
};
const SAVE_TOKENIZER =
  "python -c \"from transformers import AutoTokenizer as T; T.from_pretrained('.').save_pretrained('.')\"";
const DOWNLOAD = (files: string) => `hf download ORG/NAME ${files} --local-dir .`;

/** Files that are named at most. */
const MOST_NAMED = 12;

/** `it holds A, B; C is missing. To mend it, run in its folder: …` */
export function reasonFor(
  contents: FolderContents,
  missing: readonly string[],
  remedy: string,
): string {
  const held = contents.files.filter((file) => !/^(?:README|LICENSE|\.git)/i.test(file));
  const named = held.slice(0, MOST_NAMED).join(', ');
  const more = held.length > MOST_NAMED ? ` and ${held.length - MOST_NAMED} more` : '';
  return `it holds ${named || 'nothing'}${more}; missing: ${missing.join(', ')}. ${remedy}`;
}

/** Weights that are there, and why they are not read. */
export function noGraphReason(
  contents: FolderContents,
  /** Why its safetensors cannot be compiled; undefined if it has none. */
  safetensorsProblem: string | undefined,
  task: ModelTask,
): string {
  const missing = ['an ONNX graph'];
  if (contents.configs.length === 0) missing.unshift('config.json');
  if (contents.tokenizers.length === 0) missing.push('tokenizer.json');
  return reasonFor(contents, missing, remedyFor(contents, safetensorsProblem, task));
}

function remedyFor(
  contents: FolderContents,
  safetensorsProblem: string | undefined,
  task: ModelTask,
): string {
  const [other] = contents.otherWeights;
  const exporting = exportAs(task);
  const names = [...contents.safetensors, ...contents.otherWeights].map((at) => path.basename(at));
  if (names.length > 0 && names.every((name) => name.startsWith('adapter_'))) {
    return 'These are the weights of an adapter alone: merge it into its base model (peft: merge_and_unload), save that, and export it';
  }
  if (contents.safetensors.length > 0) {
    const why = safetensorsProblem ?? 'safetensors alone are not compiled';
    return `${contents.safetensors[0]}: ${why}. To mend it, run in its folder: ${exporting}`;
  }
  if (other === undefined) {
    return `There are no weights at all. To mend it, fetch them into its folder: ${DOWNLOAD('--include "onnx/*" "*.json"')}`;
  }
  if (/\.(?:bin|pt|pth|ckpt|pkl)$/i.test(other)) {
    return `${other} is a pickle, which can run code when it is read, so it is never opened. To mend it, run in its folder: ${exporting} (or, for safetensors: ${saveAs(task)})`;
  }
  if (/\.gguf$/i.test(other)) {
    return `${other} is for llama.cpp, and cannot be turned back: take the original weights, and run in their folder: ${exporting}`;
  }
  return `${other} is of another framework. To mend it, run in its folder: ${exporting}`;
}

export function noConfigReason(contents: FolderContents): string {
  const missing = ['config.json'];
  if (contents.tokenizers.length === 0) missing.push('tokenizer.json');
  const files =
    missing.length > 1 ? 'config.json tokenizer.json tokenizer_config.json' : 'config.json';
  const remedy = `It says what the outputs mean. To mend it, fetch it from where the weights came from: ${DOWNLOAD(files)}`;
  return reasonFor(contents, missing, remedy);
}

export function noTokenizerReason(contents: FolderContents): string {
  const pieces = contents.tokenizers.find((file) => /\.(?:model|spm)$/i.test(file));
  const why = pieces === undefined ? '' : `${pieces} alone is not read. `;
  const remedy = `${why}To mend it, run in its folder: ${SAVE_TOKENIZER}`;
  return `tokenizer.json cannot be used: it is missing; ${reasonFor(contents, ['tokenizer.json'], remedy)}`;
}

/** Graphs that are there, of which none can be served. */
export function noUsableGraphReason(contents: FolderContents, leftOut: readonly LeftOut[]): string {
  const why = leftOut.map(({ reason }) => reason).join('; ');
  const missing = leftOut.flatMap(({ lacks }) => lacks ?? []);
  const files = missing.length > 0 ? missing : leftOut.map(({ file }) => file);
  const remedy = `To mend it, fetch them into its folder: ${DOWNLOAD(files.slice(0, 3).map(quoted).join(' '))}`;
  return reasonFor(contents, [`a whole graph (${why.slice(0, 600)})`], remedy);
}

function quoted(file: string): string {
  return file.includes(' ') ? `"${file}"` : file;
}

/** A graph that is not served though it is there. */
export interface LeftOut {
  readonly file: string;
  readonly reason: string;
  /** Files of its weights that are not there. */
  readonly lacks?: readonly string[];
}
