import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, PlimsollError, systemCodeOf } from '../../errors.js';
import { describeModel, type ModelDescription } from './description.js';
import { BEST_FIRST, type Dtype, graphFileOf } from './dtype.js';

/** A model as it lies on disk. */
export interface Model {
  /** Its path below the repository, with `/` between the parts. */
  readonly id: string;
  readonly directory: string;
  readonly description: ModelDescription;
  /** Type of its weights, among those that its folder has. */
  readonly dtype: Dtype;
  /** Its graph, below the folder. */
  readonly graphFile: string;
  /** Sizes and times of its files: another signature means that the model may have changed. */
  readonly signature: string;
  /** Bytes of the ONNX graph and its external data, if any. */
  readonly sourceBytes: number;
}

/** A folder that looks like a model but cannot be used. */
export interface BrokenModel {
  readonly id: string;
  readonly reason: string;
}

const SMALL_FILES = ['config.json', 'tokenizer.json', 'tokenizer_config.json'];
const MAX_DEPTH = 4;
const MAX_MODELS = 10_000;
const PART = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

/** The models below one folder. Folders that appear later are found when they are asked for. */
export class ModelRepository {
  readonly #root: string;
  readonly #dtypes: readonly Dtype[];
  readonly #models = new Map<string, Model>();
  #broken: readonly BrokenModel[] = [];

  /** @param dtype the only type of weights that is taken; `auto`: the best that a model has */
  constructor(root: string, dtype: Dtype | 'auto' = 'auto') {
    this.#root = path.resolve(root);
    this.#dtypes = dtype === 'auto' ? BEST_FIRST : [dtype];
  }

  get root(): string {
    return this.#root;
  }

  /**
   * Reads the whole folder again.
   *
   * @throws PlimsollError NOT_FOUND if the folder is not there.
   */
  async scan(): Promise<void> {
    const found = new Map<string, Model>();
    const broken: BrokenModel[] = [];
    for (const id of await this.#candidates()) {
      try {
        found.set(id, await this.#read(id));
      } catch (error) {
        broken.push({ id, reason: messageOf(error) });
      }
    }
    this.#models.clear();
    for (const [id, model] of found) this.#models.set(id, model);
    this.#broken = broken;
  }

  /** Every usable model, by name. */
  list(): readonly Model[] {
    return [...this.#models.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Folders of the last scan that look like models and cannot be used. */
  listBroken(): readonly BrokenModel[] {
    return this.#broken;
  }

  /** The model, if it has been read already. */
  known(id: string): Model | undefined {
    return this.#models.get(id);
  }

  /**
   * The model of that name, read from disk if it is new.
   *
   * @throws PlimsollError MODEL_NOT_FOUND, MODEL_UNUSABLE
   */
  async find(id: string): Promise<Model> {
    return this.#models.get(id) ?? (await this.refresh(id));
  }

  /**
   * Reads one model again, for instance because its files may have changed.
   *
   * @throws PlimsollError MODEL_NOT_FOUND, MODEL_UNUSABLE
   */
  async refresh(id: string): Promise<Model> {
    const parts = id.split('/');
    const valid = parts.length <= MAX_DEPTH && parts.every((part) => PART.test(part));
    if (!valid || !(await isModelFolder(path.join(this.#root, ...parts)))) {
      this.#models.delete(id);
      const names = this.list().map((model) => model.id);
      throw new PlimsollError(
        'MODEL_NOT_FOUND',
        `there is no model "${id.slice(0, 200)}"; there is ${names.slice(0, 20).join(', ') || 'none'}`,
      );
    }
    const model = await this.#read(id);
    this.#models.set(id, model);
    return model;
  }

  async #candidates(): Promise<readonly string[]> {
    const found: string[] = [];
    const visit = async (parts: readonly string[]): Promise<void> => {
      const directory = path.join(this.#root, ...parts);
      if (parts.length > 0 && (await isModelFolder(directory))) {
        found.push(parts.join('/'));
        return;
      }
      if (parts.length === MAX_DEPTH || found.length >= MAX_MODELS) return;
      for (const name of await subFolders(directory)) await visit([...parts, name]);
    };
    if (!(await isFolder(this.#root))) {
      throw new PlimsollError('NOT_FOUND', `the models folder ${this.#root} does not exist`);
    }
    await visit([]);
    return found;
  }

  async #read(id: string): Promise<Model> {
    const directory = path.join(this.#root, ...id.split('/'));
    const description = await describeModel(directory);
    const dtype = (await dtypesIn(directory, this.#dtypes))[0];
    if (dtype === undefined) {
      const wanted = this.#dtypes.map(graphFileOf).join(', ');
      const message = `it has no ${wanted}, the file of dtype ${this.#dtypes.join(', ')}`;
      throw new PlimsollError('MODEL_UNUSABLE', message);
    }
    const graphFile = graphFileOf(dtype);
    const { signature, sourceBytes } = await readSignature(directory, graphFile);
    return { id, directory, description, dtype, graphFile, signature, sourceBytes };
  }
}

/**
 * The files that a model consists of, relative to its folder, small ones first.
 *
 * @param graphFile its graph; what holds the graph's external data is named after it.
 */
export async function modelFiles(directory: string, graphFile: string): Promise<readonly string[]> {
  const { dir: folder, base: graph } = path.parse(graphFile);
  const isPart = (name: string) =>
    name === graph || (name.startsWith(graph) && /^[._].*data/.test(name.slice(graph.length)));
  const found = (await readdir(path.join(directory, folder))).filter(isPart).sort();
  return [...SMALL_FILES, ...found.map((name) => path.join(folder, name))];
}

async function readSignature(directory: string, graphFile: string) {
  let sourceBytes = 0;
  const lines: string[] = [];
  for (const file of await modelFiles(directory, graphFile)) {
    try {
      const facts = await stat(path.join(directory, file));
      if (file.startsWith('onnx')) sourceBytes += facts.size;
      lines.push(`${file}:${facts.size}:${Math.floor(facts.mtimeMs)}:${facts.ino}`);
    } catch (error) {
      if (systemCodeOf(error) !== 'ENOENT') throw error;
      if (file === 'tokenizer.json') {
        throw new PlimsollError('MODEL_UNUSABLE', 'tokenizer.json cannot be used: it is missing');
      }
    }
  }
  return { signature: lines.join('|'), sourceBytes };
}

async function subFolders(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const names: string[] = [];
  for (const entry of entries) {
    if (!PART.test(entry.name)) continue;
    if (entry.isDirectory() || (await isFolder(path.join(directory, entry.name)))) {
      names.push(entry.name);
    }
  }
  return names.sort();
}

async function isFolder(file: string): Promise<boolean> {
  return stat(file).then(
    (facts) => facts.isDirectory(),
    () => false,
  );
}

async function isModelFolder(directory: string): Promise<boolean> {
  if (!(await isFile(path.join(directory, 'config.json')))) return false;
  return (await dtypesIn(directory, BEST_FIRST)).length > 0;
}

/** Those of the types that the folder has a graph of, in the same order. */
async function dtypesIn(directory: string, dtypes: readonly Dtype[]): Promise<readonly Dtype[]> {
  const there = await Promise.all(
    dtypes.map((dtype) => isFile(path.join(directory, graphFileOf(dtype)))),
  );
  return dtypes.filter((_, index) => there[index] === true);
}

async function isFile(file: string): Promise<boolean> {
  return stat(file).then(
    (facts) => facts.isFile(),
    () => false,
  );
}
