/** The weights of a model folder: `model.safetensors`, or shards with their index. */
import { lstat, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { PlimsollError } from '../../../errors.js';
import { readJson } from '../../intake/folder/json.js';
import { readTensors, type StoredTensor } from './reader.js';

/** All tensors of a model, by name. */
export interface Checkpoint {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Names of its files, relative to the model's folder. */
  readonly files: readonly string[];
}

export const WHOLE_FILE = 'model.safetensors';
export const INDEX_FILE = 'model.safetensors.index.json';

/** A name in an index has about 100 bytes; the same bound as for the headers themselves. */
const MAX_INDEX_BYTES = 16 * 1024 * 1024;
const MAX_SHARDS = 1000;
/** A plain name: an index must not lead out of its folder. */
const SHARD_NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,200}\.safetensors$/;
const OTHER_WEIGHTS = /\.(safetensors|bin|pt|pth|ckpt|h5|msgpack|gguf)$/;

/**
 * Reads the headers of a model's safetensors files. As `transformers` does, it takes the whole file
 * where there are both.
 *
 * @throws PlimsollError MODEL_UNUSABLE
 */
export async function openCheckpoint(folder: string): Promise<Checkpoint> {
  if (await isThere(path.join(folder, WHOLE_FILE))) {
    return {
      tensors: byName(await readTensors(path.join(folder, WHOLE_FILE))),
      files: [WHOLE_FILE],
    };
  }
  if (!(await isThere(path.join(folder, INDEX_FILE)))) throw await noWeights(folder);
  const shardOf = await readIndex(path.join(folder, INDEX_FILE));
  const shards = [...new Set(shardOf.values())].sort();
  const found: StoredTensor[] = [];
  for (const shard of shards) found.push(...(await readTensors(path.join(folder, shard))));
  const tensors = byName(found);
  for (const [name, shard] of shardOf) {
    const tensor = tensors.get(name);
    if (tensor === undefined || path.basename(tensor.file) !== shard) {
      throw unusable(
        `${shard} cannot be used: it lacks the tensor ${name}, which ${INDEX_FILE} names`,
      );
    }
  }
  return { tensors, files: [INDEX_FILE, ...shards] };
}

/** The shard of each tensor: {"weight_map": {"tensor's name": "file's name"}}. */
async function readIndex(file: string): Promise<ReadonlyMap<string, string>> {
  const { size } = await stat(file);
  if (size > MAX_INDEX_BYTES) throw indexUnusable(`it has ${size} bytes`);
  const { weight_map: map } = await readJson(file);
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw indexUnusable('it has no weight_map');
  }
  const shardOf = new Map<string, string>();
  for (const [name, shard] of Object.entries<unknown>({ ...map })) {
    if (typeof shard !== 'string' || !SHARD_NAME.test(shard)) {
      const shown = JSON.stringify(shard).slice(0, 120);
      throw indexUnusable(`${shown} is not the name of a safetensors file in its folder`);
    }
    shardOf.set(name, shard);
  }
  const shards = new Set(shardOf.values()).size;
  if (shards < 1 || shards > MAX_SHARDS) throw indexUnusable(`it names ${shards} files`);
  return shardOf;
}

function byName(found: readonly StoredTensor[]): ReadonlyMap<string, StoredTensor> {
  const tensors = new Map<string, StoredTensor>();
  for (const tensor of found) {
    const other = tensors.get(tensor.name);
    if (other !== undefined) {
      const files = `${path.basename(other.file)} and ${path.basename(tensor.file)}`;
      throw unusable(`${files} cannot be used: both have the tensor ${tensor.name}`);
    }
    tensors.set(tensor.name, tensor);
  }
  return tensors;
}

/** Says what there is instead, and how it becomes what is needed. */
async function noWeights(folder: string): Promise<PlimsollError> {
  const names = await readdir(folder).catch(() => []);
  const others = names.filter((name) => OTHER_WEIGHTS.test(name)).sort();
  const found = others.length > 0 ? `; it has ${others.slice(0, 5).join(', ')}` : '';
  const remedy =
    others.length > 0
      ? '. Pickles and other formats are not read. Convert them: "from_pretrained(FOLDER).save_pretrained(FOLDER)" of the model\'s class in transformers writes model.safetensors'
      : '';
  return unusable(`it has neither ${WHOLE_FILE} nor ${INDEX_FILE}${found}${remedy}`);
}

/** A link that leads nowhere is there, and reading it says what is wrong. */
async function isThere(file: string): Promise<boolean> {
  return lstat(file).then(
    () => true,
    () => false,
  );
}

function indexUnusable(reason: string): PlimsollError {
  return unusable(`${INDEX_FILE} cannot be used: ${reason}`);
}

function unusable(message: string): PlimsollError {
  return new PlimsollError('MODEL_UNUSABLE', message);
}
