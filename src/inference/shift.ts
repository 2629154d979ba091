import type { ModelLibrary } from '../models/library.js';
import type { Dispatcher } from './dispatcher.js';
import type { WorkerPool } from './workers/pool.js';
import type { StepResult } from './workers/protocol.js';
import type { Worker } from './workers/worker.js';
import { WorkerGoneError } from './workers/worker-gone.js';

export interface ShiftParts {
  readonly pool: WorkerPool;
  readonly dispatcher: Dispatcher;
  readonly library: Pick<ModelLibrary, 'ready'>;
}

/**
 * Moves a model to the hot gear in one worker while another one answers. That one opens the model first
 * if it does not hold it: who comes meanwhile must not wait for that either.
 *
 * @returns what it took; undefined if the worker, or one that stands in for it, is not there any more.
 * @throws PlimsollError MODEL_UNUSABLE if it cannot be opened in that gear; it then stays in the cold one
 */
export async function shiftGear(
  { pool, dispatcher, library }: ShiftParts,
  workerId: string,
  model: string,
  timeoutMs: number,
): Promise<StepResult | undefined> {
  const worker = pool.find(workerId);
  const others = pool.workers.filter((each) => each.state === 'ready' && each !== worker);
  const ready = await library.ready(model);
  const holds = (each: Worker) => each.loaded.get(model)?.digest === ready.form.digest;
  if (worker === undefined || !holds(worker) || others.length === 0) return undefined;
  if (!others.some(holds)) {
    const standIn = others.find(({ idle }) => idle);
    // All of them are busy with other models: this one has to go on answering.
    if (standIn === undefined) return undefined;
    await dispatcher.warm(standIn, ready);
    if (!holds(standIn) || !holds(worker)) return undefined;
  }
  try {
    return await worker.shift(model, timeoutMs);
  } catch (error) {
    // It was replaced meanwhile, or has died: nobody holds the model there any more.
    if (error instanceof WorkerGoneError) return undefined;
    throw error;
  } finally {
    // It gets batches again.
    dispatcher.pump();
  }
}
