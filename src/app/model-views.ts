import type { ModelView } from '../contract/models.js';
import { toInstantOrNull, toMb, toMbOrNull, toMs } from '../contract/units.js';
import type { Dispatcher } from '../inference/dispatcher.js';
import type { WorkerPool } from '../inference/workers/pool.js';
import type { MemoryManager } from '../memory/manager.js';
import type { Model, ModelRepository } from '../models/intake/repository.js';
import type { ModelLibrary } from '../models/library.js';

/** The models as callers see them, and what loads and unloads them. */
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
    const broken = this.#repository.listBroken().map(
      ({ id, reason }): ModelView => ({
        id,
        task: null,
        labels: [],
        state: 'broken',
        reason,
        dtype: null,
        workers: [],
        source_mb: null,
        mapped_mb: null,
        private_mb: null,
        load_ms: null,
        last_used_at: null,
      }),
    );
    return [...usable, ...broken].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** @throws PlimsollError MODEL_NOT_FOUND, MODEL_UNUSABLE */
  async load(id: string): Promise<ModelView> {
    const ready = await this.#library.ready(id);
    await this.#dispatcher.load(ready);
    return this.#view(ready.model);
  }

  /**
   * Releases the model, unless a request waits for it: then its state is still `loaded`.
   *
   * @throws PlimsollError MODEL_NOT_FOUND
   */
  async unload(id: string): Promise<ModelView> {
    const model = await this.#repository.find(id);
    await this.#memory.unload(id, 'asked for');
    return this.#view(model);
  }

  async #view(model: Model): Promise<ModelView> {
    const form = await this.#library.formOf(model);
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
      source_mb: toMb(model.sourceBytes),
      mapped_mb: toMbOrNull(footprint?.mappedBytes),
      private_mb: toMbOrNull(footprint?.privateAfterBatchBytes ?? footprint?.privateAfterLoadBytes),
      load_ms: footprint?.loadMs === undefined ? null : toMs(footprint.loadMs),
      last_used_at: toInstantOrNull(this.#memory.ledger.lastUsedAtMs(model.id)),
    };
  }
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
