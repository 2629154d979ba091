import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, PlimsollError, systemCodeOf } from '../errors.js';
import { describeModel, type ModelDescription } from './description.js';

/** A model as it lies on disk. */
export interface Model {
  /** Its path below the repository, with `/` between the parts. */
  readonly id: string;
  readonly directory: string;
  readonly description: ModelDescription;
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

/** Where the graph lies in Hugging Face layout. */
export const GRAPH_FILE = path.join('onnx', 'model.onnx');
const SMALL_FILES = ['config.json', 'tokenizer.json', 'tokenizer_config.json'];
const MAX_DEPTH = 4;
const MAX_MODELS = 10_000;
const PART = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

/** The models below one folder. Folders that appear later are found when they are asked for. */
export class ModelRepository {
  readonly #root: string;
  readonly #models = new Map<string, Model>();
  #broken: readonly BrokenModel[] = [];

  constructor(root: string) {
    this.#root = path.resolve(root);
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
    const { signature, sourceBytes } = await readSignature(directory);
    return { id, directory, description, signature, sourceBytes };
  }
}

/** The files that a model consists of, relative to its folder, small ones first. */
export async function modelFiles(directory: string): Promise<readonly string[]> {
  const graphs = await readdir(path.join(directory, 'onnx'));
  const data = graphs.filter((name) => /^model\.onnx([._].*data.*)?$/.test(name)).sort();
  return [...SMALL_FILES, ...data.map((name) => path.join('onnx', name))];
}

async function readSignature(directory: string) {
  let sourceBytes = 0;
  const lines: string[] = [];
  for (const file of await modelFiles(directory)) {
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
  const files = [path.join(directory, 'config.json'), path.join(directory, GRAPH_FILE)];
  const found = await Promise.all(files.map((file) => stat(file).catch(() => undefined)));
  return found.every((facts) => facts?.isFile() === true);
}
