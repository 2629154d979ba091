import path from 'node:path';
import { type Abortable, unlessAborted } from '../../cache/abortable.js';
import type { ModelDetail, ModelView } from '../../contract/models.js';
import { toInstantOrNull, toMb, toMbOrNull, toMs } from '../../contract/units.js';
import { PlimsollError } from '../../errors.js';
import type { Dispatcher } from '../../inference/dispatcher.js';
import { tokenizerHandleOf } from '../../inference/loads/model-handles.js';
import { TokenizeCalls, type TokenizedTexts } from '../../inference/tokenize.js';
import type { WorkerPool } from '../../inference/workers/pool.js';
import type { MemoryManager } from '../../memory/manager.js';
import { hubOriginOf } from '../../models/intake/origin.js';
import type { BrokenModel, Model, ModelRepository } from '../../models/intake/repository.js';
import { type ModelLibrary, withFindings } from '../../models/library.js';
import { takesPairs } from '../../models/run/serving-plan.js';
import { tasksOf } from '../../tasks/models.js';
import { shownVerdict } from '../verdicts/verdicts.js';

/** The models as callers see them, and what loads and unloads them. */
export class ModelViews {
  readonly #repository: ModelRepository;
  readonly #library: ModelLibrary;
  readonly #dispatcher: Dispatcher;
  readonly #memory: MemoryManager;
  readonly #pool: WorkerPool;
  readonly #calls: TokenizeCalls;

  constructor(parts: {
    readonly repository: ModelRepository;
    readonly library: ModelLibrary;
    readonly dispatcher: Dispatcher;
    readonly memory: MemoryManager;
    readonly pool: WorkerPool;
    /** Of one answer. */
    readonly mostTokens: number;
  }) {
    this.#repository = parts.repository;
    this.#library = parts.library;
    this.#dispatcher = parts.dispatcher;
    this.#memory = parts.memory;
    this.#pool = parts.pool;
    this.#calls = new TokenizeCalls(parts.pool, parts.mostTokens);
  }

  /**
   * Every model, usable or broken, by name; the folder is read again.
   *
   * @throws PlimsollError STORAGE_UNAVAILABLE
   */
  async list(): Promise<readonly ModelView[]> {
    await this.#repository.scanInTime();
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
   * @throws PlimsollError MODEL_NOT_FOUND, STORAGE_UNAVAILABLE
   */
  async show(id: string): Promise<ModelDetail> {
    try {
      const model = await this.#withFindings(await this.#repository.refreshInTime(id));
      const { aliases, description } = model;
      const verdict = (await this.#library.formOf(model))?.verdict;
      const origin = await this.#originOf(model);
      return {
        ...{ ...(await this.#view(model)), origin, aliases, decisions: description.decisions },
        verdict: verdict === undefined ? null : shownVerdict(verdict),
      };
    } catch (error) {
      if (!(error instanceof PlimsollError) || error.code !== 'MODEL_UNUSABLE') throw error;
      const broken = brokenView({ id: this.#repository.idOf(id), reason: error.message });
      return { ...broken, origin: null, aliases: [], decisions: [], verdict: null };
    }
  }

  /**
   * A model's labels in the order of its outputs: at once where it was asked a moment ago.
   *
   * @throws PlimsollError those of {@link ModelLibrary.ready}
   */
  labels(id: string): readonly string[] | Promise<readonly string[]> {
    const known = this.#library.readyNow(id);
    if (known !== undefined) return known.model.description.labels;
    return this.#library.ready(id).then(({ model }) => model.description.labels);
  }

  /**
   * What a model sees of each text. It is asked of a worker, but the model need not be loaded, and where its graph
   * cannot be served its tokenizer still can.
   *
   * @param isWhole all tokens; else at most as many as the model takes.
   * @throws PlimsollError MODEL_NOT_FOUND, MODEL_UNUSABLE, those of {@link TokenizeCalls.tokenize}
   */
  async tokenize(
    id: string,
    inputs: readonly string[],
    abort: Abortable,
    isWhole = false,
  ): Promise<TokenizedTexts> {
    const { model, digest, tokenizer, maxTokens } = await unlessAborted(
      this.#tokenizerOf(id),
      abort.signal,
    );
    const asked = { model, digest, tokenizer, inputs, isWhole };
    const texts = await this.#calls.tokenize(asked, abort);
    return { model, maxTokens, tokenizer: tokenizer.choice.kind, texts };
  }

  async #tokenizerOf(id: string) {
    // Without findings the reference tokenizes, as nothing says that the other makes the same of it.
    const reference = { kind: 'native' } as const;
    const found = await this.#repository.tokenizerOf(id);
    if (!('graphFile' in found)) {
      const { files, maxTokens } = found;
      const tokenizer = { files, choice: reference, maxTokens, truncationSide: undefined };
      return { model: this.#repository.idOf(id), digest: undefined, tokenizer, maxTokens };
    }
    const form = await this.#library.formOf(found);
    const model = form === undefined ? found : withFindings(found, form);
    const tokenizer = tokenizerHandleOf(model, form?.findings.tokenizer ?? reference);
    const digest = form?.instance;
    return { model: model.id, digest, tokenizer, maxTokens: model.description.maxTokens };
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
    await this.#memory.unload(model.id, 'asked for');
    return this.#view(model);
  }

  /** With what was found when it was prepared, if it was. */
  async #withFindings(model: Model): Promise<Model> {
    const form = await this.#library.formOf(model);
    return form === undefined ? model : withFindings(model, form);
  }

  async #originOf(model: Model): Promise<ModelDetail['origin']> {
    const { directory } = model;
    const disk_mb = toMb(await this.#repository.diskBytesOf(model));
    const hub = hubOriginOf(directory);
    if (hub !== undefined) {
      return { kind: 'hub', folder: null, hub_id: hub.id, commit: hub.commit, disk_mb };
    }
    const folder = path.relative(this.#repository.root ?? directory, directory) || '.';
    return { kind: 'folder', folder, hub_id: null, commit: null, disk_mb };
  }

  async #view(found: Model): Promise<ModelView> {
    const form = await this.#library.formOf(found);
    const model = form === undefined ? found : withFindings(found, form);
    const graph = model.description.decisions.find(({ about }) => about === 'graph');
    const loaded = this.#pool.workers.some((worker) => worker.loaded.has(model.id));
    const footprint = form?.footprint;
    const pairs = form === undefined ? null : takesPairs(form.findings);
    return {
      id: model.id,
      task: model.description.task,
      tasks: tasksOf(model.description, pairs ?? true),
      takes_pairs: pairs,
      labels: model.description.labels,
      ...stateOf(loaded, form !== undefined, this.#library.failureOf(model)),
      dtype: model.dtype,
      workers: this.#pool.workers
        .filter(({ state }) => state === 'ready')
        .map((worker) => ({
          worker: worker.id,
          state: worker.loaded.get(model.id)?.gear ?? 'unloaded',
        })),
      graph: model.graphFile,
      graph_reason: graph?.from ?? null,
      form: form?.verdict?.form ?? null,
      form_reason: form?.verdict?.reason ?? null,
      source_mb: toMb(model.sourceBytes),
      mapped_mb: toMbOrNull(footprint?.mappedBytes),
      private_mb: toMbOrNull(footprint?.privateAfterBatchBytes ?? footprint?.privateAfterLoadBytes),
      load_ms: footprint?.loadMs === undefined ? null : toMs(footprint.loadMs),
      last_used_at: toInstantOrNull(this.#memory.ledger.lastUsedAtMs(model.id)),
    };
  }
}

function brokenView({ id, reason }: BrokenModel): ModelView {
  const unknown = { task: null, dtype: null, graph: null, graph_reason: null, source_mb: null };
  const unmeasured = {
    takes_pairs: null,
    form: null,
    form_reason: null,
    mapped_mb: null,
    private_mb: null,
    load_ms: null,
    last_used_at: null,
  };
  const none = { tasks: [], labels: [], workers: [] };
  return { id, state: 'broken', reason, ...none, ...unknown, ...unmeasured };
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
