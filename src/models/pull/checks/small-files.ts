/** What the small files of a model decide, before its weights are fetched. */
import path from 'node:path';
import { messageOf } from '../../../errors.js';
import { safetensorsCompiler } from '../../compile/can-compile.js';
import { readDeclaration, readOverridesFile } from '../../intake/description.js';
import type { Dtype } from '../../intake/dtype.js';
import { readJson } from '../../intake/folder/json.js';
import { OVERRIDES_FILE } from '../../intake/reading/overrides.js';
import { tokenizerFilesIn } from '../../intake/tokenizer-files.js';
import { HubError } from '../hub-error.js';

const CONFIG = 'config.json';

/** The names of a model's files, as the hub lists them or as they lie in a folder. */
export type Names = readonly string[];

/** @throws HubError `unservable` if the names alone say that it cannot be served */
export function refuseNames(names: Names): void {
  if (configFor(names, '') === undefined) {
    throw new HubError(
      'unservable',
      'it has no config.json, which says what the outputs mean: take a model that was saved with transformers',
    );
  }
  const besides = ['', ...names.filter((name) => name.endsWith('.onnx'))];
  if (besides.every((beside) => tokenizerFilesIn(contentsOf(names), beside) === undefined)) {
    throw new HubError(
      'unservable',
      'it has no tokenizer that can be read (tokenizer.json, vocab.txt, or vocab.json with merges.txt): save it with AutoTokenizer.from_pretrained(…).save_pretrained(…), which writes tokenizer.json, and serve that folder',
    );
  }
}

/** What the small files say of the weights that are wanted. @throws HubError `unservable` */
export async function readWanted(
  folder: string,
  names: Names,
  dtype: string,
): Promise<{ readonly dtype: Dtype | undefined; readonly compileProblem: string | undefined }> {
  return asUnservable(async () => {
    const own = names.includes(OVERRIDES_FILE) ? path.join(folder, OVERRIDES_FILE) : undefined;
    const overrides = await readOverridesFile(own);
    const asked = dtype === 'auto' ? undefined : (dtype as Dtype);
    const compileProblem = names.includes(CONFIG)
      ? await safetensorsCompiler.refuse(await readJson(path.join(folder, CONFIG)))
      : 'it has no config.json beside them';
    return { dtype: overrides.dtype ?? asked, compileProblem };
  });
}

/**
 * Refuses what intake would refuse after everything had been fetched: another task, an encoder without a head, labels
 * or functions that contradict one another.
 *
 * @throws HubError `unservable`
 */
export async function refuseConfig(folder: string, names: Names, weights: string): Promise<void> {
  const config = configFor(names, weights);
  if (config === undefined) return;
  await asUnservable(async () => {
    const place = (name: string) => (names.includes(name) ? path.join(folder, name) : undefined);
    await readDeclaration(
      {
        config: path.join(folder, config),
        tokenizerConfig: place('tokenizer_config.json'),
        sentenceTransformers: place('config_sentence_transformers.json'),
      },
      await readOverridesFile(place(OVERRIDES_FILE)),
    );
  });
}

function configFor(names: Names, weights: string): string | undefined {
  const near = path.posix.join(path.posix.dirname(weights), CONFIG);
  const beside = weights === '' ? `onnx/${CONFIG}` : near;
  if (weights === '' && names.includes(CONFIG)) return CONFIG;
  return [beside, CONFIG].find((name) => names.includes(name));
}

function contentsOf(files: Names) {
  const none: readonly string[] = [];
  return {
    ...{ directory: '', files, graphs: none, safetensors: none, otherWeights: none },
    ...{ tokenizers: none, configs: none },
  };
}

async function asUnservable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new HubError('unservable', `it cannot be served: ${messageOf(error)}`, error);
  }
}
