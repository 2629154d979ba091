import type { LoadAdmission } from '../../memory/admission.js';
import type { ReadyModel } from '../../models/library.js';
import type { Gear } from '../../models/run/gear.js';
import type { WorkerPool } from '../workers/pool.js';
import type { Worker } from '../workers/worker.js';
import { WorkerGoneError } from '../workers/worker-gone.js';
import { handleOf, loadNeed } from './model-handles.js';

export interface ModelLoadsOptions {
  readonly pool: WorkerPool;
  readonly threads: number;
  /** Longest time of a warm-up's run. */
  readonly batchTimeoutMs: number;
  /** Asked for room before every load. */
  readonly admission: LoadAdmission;
  /** Called for every load: the model was opened in that worker. */
  readonly onLoad: (model: string, worker: Worker, loadMs: number, gear: Gear) => void;
}

const WARM_UP_TEXT = 'A text of some words, so that everything is compiled once. '.repeat(8);
/** Longest wait for room of a load that an operator asked for. */
const LOAD_WAIT_MS = 5000;

/** Loads that no request asks for: by an operator, or to warm up a worker. */
export class ModelLoads {
  readonly #options: ModelLoadsOptions;

  constructor(options: ModelLoadsOptions) {
    this.#options = options;
  }

  /**
   * Opens a model in every worker.
   *
   * @throws PlimsollError MODEL_UNUSABLE, INSUFFICIENT_MEMORY
   */
  async load(ready: ReadyModel): Promise<void> {
    const { pool, threads, onLoad } = this.#options;
    const handle = handleOf(ready, threads);
    const workers = pool.workers.filter(({ state }) => state === 'ready');
    for (const worker of workers) {
      if (worker.loaded.get(handle.id)?.digest === handle.digest) continue;
      const settle = await this.#admitted(ready);
      try {
        const loadMs = await worker.load(handle);
        if (loadMs !== undefined) onLoad(ready.model.id, worker, loadMs, 'cold');
      } catch (error) {
        // One worker's death does not fail the load in the others.
        if (!(error instanceof WorkerGoneError)) throw error;
      } finally {
        settle();
      }
    }
  }

  /**
   * Opens a model in one worker and runs it once, so that no caller pays for page faults and compilation. Does
   * nothing if the load line has no room.
   */
  async warm(worker: Worker, ready: ReadyModel, gear: Gear): Promise<void> {
    const { admission, threads, batchTimeoutMs, onLoad } = this.#options;
    const room = admission.ask(loadNeed(ready));
    if (room.state !== 'admitted') return;
    try {
      const options = { timeoutMs: batchTimeoutMs, gear };
      const { loadMs } = await worker.run(handleOf(ready, threads), [WARM_UP_TEXT], options);
      if (loadMs !== undefined) onLoad(ready.model.id, worker, loadMs, gear);
    } finally {
      room.settle();
    }
  }

  /** Waits for room, at most {@link LOAD_WAIT_MS}. */
  async #admitted(ready: ReadyModel): Promise<() => void> {
    const until = performance.now() + LOAD_WAIT_MS;
    for (;;) {
      const admission = this.#options.admission.ask(loadNeed(ready));
      if (admission.state === 'admitted') return admission.settle;
      await admission.changed;
      if (performance.now() > until) throw admission.refusal;
    }
  }
}
