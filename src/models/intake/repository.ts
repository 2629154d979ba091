import path from 'node:path';
import { messageOf, PlimsollError } from '../../errors.js';
import { Places } from '../../system/one-at-a-time.js';
import { type BareTokenizer, bareTokenizer } from './bare-tokenizer.js';
import { BEST_FIRST, type Dtype } from './dtype.js';
import { contentsOf } from './folder/contents.js';
import { asNoFile, NoFileError } from './folder/files.js';
import { hubIdOf, idPartOf, nearIds } from './folder/names.js';
import { type Candidate, findCandidate, findCandidates } from './folder/walk.js';
import { LONG_LOOK_HANGS_MS, LOOK_HANGS_MS, SharedLooks } from './looks.js';
import { type Model, ModelReader, type SafetensorsCompiler } from './model-reader.js';
import { diskBytesOf } from './origin.js';
import type { Bounds } from './verification.js';

export type { Model } from './model-reader.js';

/** A folder that looks like a model but cannot be used. */
export interface BrokenModel {
  readonly id: string;
  readonly reason: string;
}

/** Names that an error lists at most. */
const MOST_LISTED = 20;

/** Looks at single models at the same time: with a scan beside them they leave one of Node's four threads for other files. */
const MOST_LOOKS = 2;

/** A model that is served by name, wherever its folder lies. */
export interface NamedModel {
  readonly id: string;
  readonly directory: string;
  /** Whether it joined while the server ran: it does not become the model that answers when a request names none. */
  readonly isLate: boolean;
}

/**
 * The models below one folder, or the one whose own folder it is, and those that are served by name. Folders that
 * appear later are found when they are asked for.
 */
export class ModelRepository {
  /** Undefined: only models that are served by name. */
  readonly #root: string | undefined;
  /** By id. One of them goes before a folder of the same name. */
  readonly #named = new Map<string, NamedModel>();
  readonly #reader: ModelReader;
  readonly #models = new Map<string, Model>();
  /** Ids by the other names that `plimsoll.json` gives a model. */
  readonly #aliases = new Map<string, string>();
  #broken: readonly BrokenModel[] = [];
  readonly #places = new Places(MOST_LOOKS);
  readonly #looks = new SharedLooks((name) => this.#refresh(name), LOOK_HANGS_MS, this.#places);
  readonly #tokenizers = new SharedLooks(
    (name) => this.#bareTokenizer(name),
    LOOK_HANGS_MS,
    this.#places,
  );
  /** By the model's folder. */
  readonly #sizes = new SharedLooks(diskBytesOf, LONG_LOOK_HANGS_MS, this.#places);
  readonly #scans = new SharedLooks(() => this.#scan(), LONG_LOOK_HANGS_MS, new Places(1));

  /**
   * @param dtype the only type of weights that is taken; `auto`: the most exact that a model has
   * @param safetensors tells which models can be compiled from their safetensors; none without it
   * @param bounds what faster forms are held against where `auto` was asked for; without them none is tried
   */
  constructor(
    root: string | undefined,
    dtype: Dtype | 'auto' = 'auto',
    safetensors?: SafetensorsCompiler,
    bounds?: Bounds,
  ) {
    this.#root = root === undefined ? undefined : path.resolve(root);
    const isAuto = dtype === 'auto';
    const wanted = isAuto ? BEST_FIRST : [dtype];
    this.#reader = new ModelReader(wanted, safetensors, isAuto ? bounds : undefined);
  }

  get root(): string | undefined {
    return this.#root;
  }

  /** Serves a model by name from now on, in place of an earlier one of that name. */
  serve(model: NamedModel): void {
    this.#named.set(model.id, model);
  }

  /** Serves a model by name no longer. */
  forget(id: string): void {
    this.#named.delete(id);
  }

  named(id: string): NamedModel | undefined {
    return this.#named.get(id);
  }

  /**
   * Reads the whole folder again, however long it takes.
   *
   * @throws PlimsollError NOT_FOUND if the folder is not there.
   */
  scan(): Promise<void> {
    return this.#scans.look('');
  }

  /**
   * The same for callers who wait for it.
   *
   * @throws PlimsollError NOT_FOUND, STORAGE_UNAVAILABLE if the disk hangs
   */
  scanInTime(): Promise<void> {
    return this.#scans.lookInTime('');
  }

  async #scan(): Promise<void> {
    const found = new Map<string, Model>();
    const broken: BrokenModel[] = [];
    for (const candidate of await this.#candidates()) {
      const { id } = candidate;
      try {
        // Two folders whose names differ in a way that ids do not show: neither may answer for the other.
        if (found.has(id)) throw new Error('another folder has the same name: rename one of them');
        found.set(id, await this.#read(candidate));
      } catch (error) {
        broken.push({ id, reason: messageOf(error) });
      }
    }
    this.#models.clear();
    this.#aliases.clear();
    for (const model of found.values()) this.#keep(model);
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

  /** The model of that name or alias, if it has been read already. */
  known(id: string): Model | undefined {
    return this.#models.get(id) ?? this.#models.get(this.idOf(id));
  }

  /** The id that a name stands for: an alias, or the same name written with other characters. */
  idOf(name: string): string {
    return this.#aliases.get(name) ?? canonical(name);
  }

  /**
   * The model of that name, read from disk if it is new.
   *
   * @throws PlimsollError MODEL_NOT_FOUND, MODEL_UNUSABLE, STORAGE_UNAVAILABLE if the disk hangs
   */
  async find(id: string): Promise<Model> {
    return this.known(id) ?? (await this.refreshInTime(id));
  }

  /**
   * Reads one model again, for instance because its files may have changed. It hangs with the disk.
   *
   * @throws PlimsollError MODEL_NOT_FOUND, MODEL_UNUSABLE
   */
  refresh(name: string): Promise<Model> {
    return this.#looks.look(name);
  }

  /**
   * The same for callers who wait for it.
   *
   * @throws PlimsollError MODEL_NOT_FOUND, MODEL_UNUSABLE, STORAGE_UNAVAILABLE if the disk hangs
   */
  refreshInTime(name: string): Promise<Model> {
    return this.#looks.lookInTime(name);
  }

  async #refresh(name: string): Promise<Model> {
    const id = this.#models.has(name) ? name : this.idOf(name);
    const candidate = await this.#candidate(id);
    if (candidate === undefined) {
      this.#models.delete(id);
      throw this.#notFound(name);
    }
    const model = await this.#read(candidate);
    this.#keep(model);
    return model;
  }

  /**
   * The model, or if it cannot be served what is left of use: its tokenizer.
   *
   * @throws PlimsollError MODEL_NOT_FOUND, MODEL_UNUSABLE if there is none either, STORAGE_UNAVAILABLE if the disk hangs
   */
  async tokenizerOf(name: string): Promise<Model | BareTokenizer> {
    try {
      return await this.find(name);
    } catch (error) {
      const isUnusable = error instanceof PlimsollError && error.code === 'MODEL_UNUSABLE';
      const bare = isUnusable ? await this.#tokenizers.lookInTime(name) : undefined;
      if (bare === undefined) throw error;
      return bare;
    }
  }

  async #bareTokenizer(name: string): Promise<BareTokenizer | undefined> {
    const candidate = await this.#candidate(this.idOf(name));
    if (candidate === undefined || !('contents' in candidate)) return undefined;
    return bareTokenizer(candidate.contents);
  }

  /**
   * Reads a model as if it were served by name.
   *
   * @throws PlimsollError MODEL_UNUSABLE
   */
  async read(model: NamedModel): Promise<Model> {
    return this.#read(await candidateOf(model));
  }

  /**
   * Bytes that a model's folder takes on the disk.
   *
   * @throws PlimsollError STORAGE_UNAVAILABLE if the disk hangs
   */
  diskBytesOf({ directory }: Model): Promise<number> {
    return this.#sizes.lookInTime(directory);
  }

  async #candidates(): Promise<readonly Candidate[]> {
    // One after the other: all at once would take every thread of a disk that hangs.
    const named: Candidate[] = [];
    for (const model of this.#named.values()) named.push(await candidateOf(model));
    const below = this.#root === undefined ? [] : await findCandidates(this.#root);
    return [...named, ...below.filter(({ id }) => !this.#named.has(id))];
  }

  async #candidate(id: string): Promise<Candidate | undefined> {
    const named = this.#named.get(id);
    if (named !== undefined) return candidateOf(named);
    return this.#root === undefined ? undefined : findCandidate(this.#root, id);
  }

  #keep(model: Model): void {
    this.#models.set(model.id, model);
    for (const alias of model.aliases) {
      if (!this.#models.has(alias)) this.#aliases.set(alias, model.id);
    }
  }

  async #read(candidate: Candidate): Promise<Model> {
    if ('problem' in candidate) {
      throw new PlimsollError('MODEL_UNUSABLE', `its folder cannot be used: ${candidate.problem}`);
    }
    try {
      return await this.#reader.read(candidate);
    } catch (error) {
      if (error instanceof PlimsollError) throw error;
      const reason = error instanceof NoFileError ? error.message : asNoFile(error).message;
      throw new PlimsollError('MODEL_UNUSABLE', `its folder cannot be used: ${reason}`);
    }
  }

  /**
   * 1. The models that there are.
   * 2. Those whose names are near.
   * 3. Broken ones of that name, or near it: somebody who put a folder there should learn why it does not serve.
   */
  #notFound(name: string): PlimsollError {
    const ids = this.list().map((model) => model.id);
    const parts = [`there is no model ${JSON.stringify(name.slice(0, 200))}`];
    parts.push(`there is ${ids.slice(0, MOST_LISTED).join(', ') || 'none'}`); // 1
    const near = nearIds(name, [...ids, ...this.#aliases.keys()]);
    if (near.length > 0 && ids.length > 1) parts.push(`did you mean ${near.join(' or ')}?`); // 2
    const reasons = new Map(this.#broken.map((broken) => [broken.id, broken.reason]));
    for (const id of nearIds(name, [...reasons.keys()], 2)) {
      parts.push(`${id} cannot be served: ${reasons.get(id)?.slice(0, 300)}`); // 3
    }
    return new PlimsollError('MODEL_NOT_FOUND', parts.join('; '));
  }
}

async function candidateOf({ id, directory }: NamedModel): Promise<Candidate> {
  const contents = await contentsOf(directory).catch(() => undefined);
  const problem = `its files are no longer in the hub's cache: fetch it again with "plimsoll pull ${id}"`;
  return contents === undefined ? { id, problem } : { id, contents };
}

/** An id as the folder's name would make it, also from the name of a folder in Hugging Face's cache. */
function canonical(name: string): string {
  const hub = hubIdOf(name);
  if (hub !== undefined) return hub.join('/');
  const plain = name.normalize('NFC');
  // What is escaped already stays as it is; what is not becomes so.
  return /%[0-9A-Fa-f]{2}/.test(plain) ? plain : plain.split('/').map(idPartOf).join('/');
}
