import { type Abortable, unlessAborted } from '../cache/abortable.js';
import { PlimsollError } from '../errors.js';
import type { ModelLibrary, ReadyModel } from '../models/library.js';
import type { WorkerPool } from './workers/pool.js';

/** Forms of a model that one request is tried on. */
const MOST_FORMS = 3;

/** The model was replaced meanwhile: keys, labels and rows of the request are those of the version before. */
export class ReplacedModel extends Error {
  readonly ready: ReadyModel;

  constructor(ready: ReadyModel) {
    super(`the model ${ready.model.id} was replaced meanwhile`);
    this.ready = ready;
  }
}

/**
 * Runs a request. If the model's form turns out to be damaged it runs again on the one that is made in its place, as long
 * as the request's deadline allows it.
 *
 * @throws what `run` throws; the signal's reason; ReplacedModel if what is there now is another version of the model
 */
export async function onWholeForm<T>(
  library: ModelLibrary,
  first: ReadyModel,
  abort: Abortable,
  run: (ready: ReadyModel) => Promise<T>,
): Promise<T> {
  let ready = first;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run(ready);
    } catch (error) {
      if (attempt === MOST_FORMS || !mayBeDamage(error)) throw error;
      const { signal } = abort;
      const isDamaged = await unlessAborted(library.removeIfDamaged(ready), signal);
      // Another server may have put a new form into its place already.
      if (!isDamaged && error.code !== 'FORM_REPLACED') throw error;
      ready = await unlessAborted(library.ready(ready.model.id), signal);
      if (ready.form.digest !== first.form.digest) throw new ReplacedModel(ready);
    }
  }
}

/** Whether a damaged form may be behind it: ONNX Runtime only says that it cannot open the graph. */
function mayBeDamage(error: unknown): error is PlimsollError {
  if (!(error instanceof PlimsollError)) return false;
  // With a time it was set aside: it could be opened.
  const isRefused = error.code === 'MODEL_UNUSABLE' && error.retryAfterSeconds === undefined;
  return error.code === 'FORM_REPLACED' || isRefused;
}

/** Forms that were found damaged. */
export class CondemnedForms {
  readonly #pool: WorkerPool;
  /** By instance. */
  readonly #condemned = new Set<string>();

  constructor(pool: WorkerPool) {
    this.#pool = pool;
  }

  /** No worker keeps it open from now on. */
  add(model: string, instance: string): void {
    this.#condemned.add(instance);
    for (const worker of this.#pool.workers) {
      if (worker.loaded.get(model)?.digest !== instance) continue;
      worker.unload(model).catch(() => undefined);
    }
  }

  /** Call it before a batch runs, and before its answer counts. @throws PlimsollError FORM_REPLACED */
  check({ form }: ReadyModel): void {
    if (!this.#condemned.has(form.instance)) return;
    throw new PlimsollError('FORM_REPLACED', 'its mapped form was damaged and is made anew', {
      retryAfterSeconds: 1,
    });
  }
}
