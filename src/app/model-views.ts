import { PlimsollError } from '../errors.js';
import type { ModelView, Tokenized } from '../http/services.js';
import type { Dispatcher } from '../inference/dispatcher.js';
import { tokenizerTicketOf } from '../inference/model-handles.js';
import { tokenizeIn } from '../inference/tokenize.js';
import type { WorkerPool } from '../inference/workers/pool.js';
import type { MemoryManager } from '../memory/manager.js';
import type { BrokenModel, Model, ModelRepository } from '../models/intake/repository.js';
import { type ModelLibrary, withFindings } from '../models/library.js';

/** What the interface shows of the models, and its load and unload. */
export class ModelViews {
  readonly #repository: ModelRepository;
  readonly #library: ModelLibrary;
  readonly #dispatcher: Dispatcher;
  readonly #memory: MemoryManager;
  readonly #pool: WorkerPool;

  constructor(parts: {
    readonly repository: ModelRepository;
    readonly library: ModelLibrary;
    readonly dispatcher: Dispatcher;
    readonly memory: MemoryManager;
    readonly pool: WorkerPool;
  }) {
    this.#repository = parts.repository;
    this.#library = parts.library;
    this.#dispatcher = parts.dispatcher;
    this.#memory = parts.memory;
    this.#pool = parts.pool;
  }

  /** Every model, usable or broken, by name; the folder is read again. */
  async list(): Promise<readonly ModelView[]> {
    await this.#repository.scan();
    return this.listKnown();
  }

  /** Every model as the folder was when it was last read. */
  async listKnown(): Promise<readonly ModelView[]> {
    const usable = await Promise.all(this.#repository.list().map((model) => this.#view(model)));
    const broken = this.#repository.listBroken().map(brokenView);
    return [...usable, ...broken].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /**
   * One model as it is on disk now.
   *
   * @throws PlimsollError MODEL_NOT_FOUND
   */
  async show(id: string): Promise<ModelView> {
    try {
      return await this.#view(await this.#repository.refresh(id));
    } catch (error) {
      if (!(error instanceof PlimsollError) || error.code !== 'MODEL_UNUSABLE') throw error;
      return brokenView({ id: this.#repository.idOf(id), reason: error.message });
    }
  }

  /**
   * What a model sees of each text. It is asked of a worker, but the model need not be loaded, and where its graph
   * cannot be served its tokenizer still can.
   *
   * @throws PlimsollError MODEL_NOT_FOUND, MODEL_UNUSABLE, WORKER_LOST
   */
  async tokenize(id: string, inputs: readonly string[]): Promise<Tokenized> {
    const { model, tokenizer, maxTokens } = await this.#tokenizerOf(id);
    const texts = await tokenizeIn(this.#pool, tokenizer, inputs);
    return { model, maxTokens, tokenizer: tokenizer.choice.kind, texts };
  }

  async #tokenizerOf(id: string) {
    // Without findings the reference tokenizes, as nothing says that the other makes the same of it.
    const reference = { kind: 'native' } as const;
    const found = await this.#repository.tokenizerOf(id);
    if (!('graphFile' in found)) {
      const { files, maxTokens } = found;
      const tokenizer = { files, choice: reference, maxTokens, truncationSide: undefined };
      return { model: this.#repository.idOf(id), tokenizer, maxTokens };
    }
    const form = await this.#library.formOf(found);
    const model = form === undefined ? found : withFindings(found, form);
    const tokenizer = tokenizerTicketOf(model, form?.findings.tokenizer ?? reference);
    return { model: model.id, tokenizer, maxTokens: model.description.maxTokens };
  }

  /** @throws PlimsollError MODEL_NOT_FOUND, MODEL_UNUSABLE */
  async load(id: string): Promise<ModelView> {
    const ready = await this.#library.ready(id);
    await this.#dispatcher.load(ready);
    return this.#view(ready.model);
  }

  /**
   * Releases the model, unless someone waits for it: the state that comes back tells.
   *
   * @throws PlimsollError MODEL_NOT_FOUND
   */
  async unload(id: string): Promise<ModelView> {
    const model = await this.#repository.find(id);
    await this.#memory.unload(id, 'asked for');
    return this.#view(model);
  }

  async #view(found: Model): Promise<ModelView> {
    const form = await this.#library.formOf(found);
    const model = form === undefined ? found : withFindings(found, form);
    const graph = model.description.decisions.find(({ about }) => about === 'graph');
    const loaded = this.#pool.workers.some((worker) => worker.loaded.has(model.id));
    const footprint = form?.footprint;
    return {
      id: model.id,
      task: model.description.task,
      labels: model.description.labels,
      ...stateOf(loaded, form !== undefined, this.#library.failureOf(model)),
      dtype: model.dtype,
      workers: this.#pool.workers
        .filter(({ state }) => state === 'ready')
        .map((worker) => ({
          worker: worker.id,
          state: worker.loaded.get(model.id)?.gear ?? 'unloaded',
        })),
      graph: { file: model.graphFile, why: graph?.from ?? '' },
      aliases: model.aliases,
      decisions: model.description.decisions,
      sourceBytes: model.sourceBytes,
      mappedBytes: footprint?.mappedBytes ?? null,
      privateBytes: footprint?.privateAfterBatchBytes ?? footprint?.privateAfterLoadBytes ?? null,
      loadMs: footprint?.loadMs ?? null,
      lastUsedAtMs: this.#memory.ledger.lastUsedAtMs(model.id),
    };
  }
}

function brokenView({ id, reason }: BrokenModel): ModelView {
  const unknown = { task: null, dtype: null, graph: null, sourceBytes: null, mappedBytes: null };
  const none = { labels: [], workers: [], aliases: [], decisions: [] };
  const unmeasured = { privateBytes: null, loadMs: null, lastUsedAtMs: null };
  return { id, state: 'broken', reason, ...unknown, ...none, ...unmeasured };
}

function stateOf(
  isLoaded: boolean,
  isPrepared: boolean,
  failure: string | undefined,
): Pick<ModelView, 'state' | 'reason'> {
  if (isLoaded) return { state: 'loaded' };
  if (isPrepared) return { state: 'unloaded' };
  return failure === undefined ? { state: 'unprepared' } : { state: 'broken', reason: failure };
}
