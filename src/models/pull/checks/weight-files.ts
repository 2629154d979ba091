/** Which further files the weights of a model name. */
import path from 'node:path';
import { isObject, readJson } from '../../intake/folder/json.js';
import { readGraphFacts } from '../../intake/graph/graph-facts.js';
import { chooseWeights } from '../choose-files.js';

const SHARD_INDEX = '.safetensors.index.json';
/** The index of a model of 1,000 shards has some 10 MB. */
const MAX_INDEX_BYTES = 64 * 2 ** 20;

/**
 * Files that hold weights of a graph or of a checkpoint's index, below the model's folder, as it names them itself.
 * A graph that cannot be read names none: preparing says what is wrong with it.
 */
export async function filesNamedBy(folder: string, weights: string): Promise<readonly string[]> {
  const beside = path.posix.dirname(weights);
  const inFolder = (name: string) => path.posix.join(beside, name);
  if (weights.endsWith('.onnx')) {
    const facts = await readGraphFacts(path.join(folder, weights)).catch(() => undefined);
    return (facts?.externalFiles ?? []).map(inFolder).filter(isBelow);
  }
  if (!weights.endsWith(SHARD_INDEX)) return [];
  const index = await readJson(path.join(folder, weights), { maxBytes: MAX_INDEX_BYTES }).catch(
    () => ({}),
  );
  const map = 'weight_map' in index && isObject(index.weight_map) ? index.weight_map : {};
  const shards = Object.values(map).filter((name) => typeof name === 'string');
  return [...new Set(shards.map(inFolder))].filter(isBelow);
}

function isBelow(name: string): boolean {
  return !path.posix.isAbsolute(name) && name !== '..' && !name.startsWith('../');
}

/** Whether files that lie in a folder are a config and whole weights, whichever they are. */
export async function hasWholeWeights(folder: string, names: readonly string[]): Promise<boolean> {
  if (!names.some((name) => name === 'config.json' || name === 'onnx/config.json')) return false;
  const cpu = { arch: process.arch, flags: [] };
  // Each graph is looked at, and the checkpoint: one that is whole is enough.
  const checkpoint = names.filter(
    (name) => name.endsWith('.safetensors') || name.endsWith(SHARD_INDEX),
  );
  const sets = [
    ...names.filter((name) => name.endsWith('.onnx')).map((graph) => [graph]),
    checkpoint,
  ];
  for (const set of sets) {
    try {
      const chosen = chooseWeights(set, { dtype: undefined, compileProblem: undefined, cpu });
      const named = await Promise.all(chosen.map((file) => filesNamedBy(folder, file)));
      if (named.flat().every((file) => names.includes(file))) return true;
    } catch {
      // This set holds no weights.
    }
  }
  return false;
}
