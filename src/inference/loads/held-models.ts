import type { PlimsollError } from '../../errors.js';
import type { ReadyModel } from '../../models/library.js';
import type { Worker } from '../workers/worker.js';
import { loadNeed } from './model-handles.js';
import type { ModelLoadsOptions } from './model-loads.js';

/** Models whose load waits for room under the load line. */
export class HeldModels {
  readonly #admission: ModelLoadsOptions['admission'];
  readonly #pump: () => void;
  /** With the error for callers whose deadline passes meanwhile. */
  readonly #held = new Map<string, PlimsollError>();

  /** @param pump called when a model need not wait any more */
  constructor(admission: ModelLoadsOptions['admission'], pump: () => void) {
    this.#admission = admission;
    this.#pump = pump;
  }

  has(model: string): boolean {
    return this.#held.has(model);
  }

  /** Why callers of the model wait. */
  refusalOf(model: string): PlimsollError | undefined {
    return this.#held.get(model);
  }

  /**
   * Asks for room if the worker has to load the model.
   *
   * @returns call it when the batch is over; undefined if the batch cannot run now.
   * @throws PlimsollError INSUFFICIENT_MEMORY
   */
  admit(worker: Worker, ready: ReadyModel): (() => void) | undefined {
    const model = ready.model.id;
    if (worker.loaded.get(model)?.digest === ready.form.instance) return () => undefined;
    const admission = this.#admission.ask(loadNeed(ready));
    if (admission.state === 'admitted') return admission.settle;
    this.#held.set(model, admission.refusal);
    const again = () => {
      this.#held.delete(model);
      this.#pump();
    };
    admission.changed.then(again, again);
    return undefined;
  }
}
