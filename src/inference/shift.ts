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
 * Moves a model to the hot gear in one worker while another one serves it. The other one opens the model first
 * if needed, so that no request waits for that either.
 *
 * @returns undefined if the worker is gone, or no other worker can serve the model.
 * @throws PlimsollError MODEL_UNUSABLE if it cannot be opened in the hot gear; it then stays cold
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
  const holds = (each: Worker) => each.loaded.get(model)?.digest === ready.form.instance;
  if (worker === undefined || !holds(worker) || others.length === 0) return undefined;
  if (!others.some(holds)) {
    const standIn = others.find(({ idle }) => idle);
    // All others are busy with other models, so this worker must go on serving.
    if (standIn === undefined) return undefined;
    await dispatcher.warm(standIn, ready);
    if (!holds(standIn) || !holds(worker)) return undefined;
  }
  try {
    return await worker.shift(model, timeoutMs);
  } catch (error) {
    // The worker was replaced or has died, and the model with it.
    if (error instanceof WorkerGoneError) return undefined;
    throw error;
  } finally {
    // The worker can take batches again.
    dispatcher.pump();
  }
}
