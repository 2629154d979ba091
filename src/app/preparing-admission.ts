import { PlimsollError } from '../errors.js';
import type { MemoryManager } from '../memory/manager.js';
import { preparingPeakBytes } from '../models/compile/preparing-room.js';
import type { Model } from '../models/intake/repository.js';

const MB = 2 ** 20;

/**
 * Lets a model be prepared if that fits under the line now. A model that could not be served here is not prepared here either.
 *
 * @returns call it when the preparer has ended
 * @throws PlimsollError INSUFFICIENT_MEMORY with the figures
 */
export async function admitPreparing(
  model: Model,
  { reader, admission }: Pick<MemoryManager, 'reader' | 'admission'>,
): Promise<() => void> {
  const line = reader.last && reader.loadLineBytes(reader.last);
  if (line !== undefined && model.sourceBytes > line) {
    const [source, most] = [model.sourceBytes, line].map((of) => `${(of / MB).toFixed(1)} MB`);
    const message = `model ${model.id} has ${source} of weights; the load line is ${most}, so it would not fit even alone`;
    throw new PlimsollError('INSUFFICIENT_MEMORY', message);
  }
  return admission.askToPrepare({
    model: model.id,
    peakBytes: preparingPeakBytes(model),
    heldBytes: () => {
      const of = reader.last?.processes.filter(({ role }) => role === 'preparer') ?? [];
      return of.reduce((sum, { memory }) => sum + memory.privateBytes, 0);
    },
  });
}
