import { PlimsollError } from '../../errors.js';
import { BatchError, WorkerGoneError } from '../workers/worker-gone.js';

/** What went wrong with a batch. */
export type Fault =
  /** The model could not be opened. */
  | { readonly kind: 'not opened'; readonly error: Error }
  /** The worker answered with an error. */
  | { readonly kind: 'failed'; readonly error: Error }
  /** The worker ended before it had begun with the batch. */
  | { readonly kind: 'not begun' }
  /** The worker ended while it ran the batch. */
  | { readonly kind: 'lost'; readonly ending: WorkerGoneError['ending'] };

/** What becomes of one row of the batch. */
export type Verdict =
  /** It runs again. `alone`: in a batch of its own; `counts`: the loss counts against it. */
  | { readonly is: 'again'; readonly alone: boolean; readonly counts: boolean }
  /** Its request fails with the error. */
  | { readonly is: 'failed'; readonly error: Error }
  /** Its request fails, and the text is refused for a while. */
  | { readonly is: 'refused'; readonly reason: string };

/** Workers that a row may lose: others end workers too, so the first losses prove nothing. */
const MAX_LOSSES = 3;

const EXCESSES: Readonly<Partial<Record<WorkerGoneError['ending'], string>>> = {
  overran: 'takes far longer than texts of its length take',
  outgrew: 'takes more memory than the load line has',
};

/** @param error what running the batch has thrown. */
export function faultOf(error: unknown): Fault {
  if (error instanceof WorkerGoneError) {
    const { wasRunning, ending } = error;
    return wasRunning ? { kind: 'lost', ending } : { kind: 'not begun' };
  }
  if (error instanceof BatchError) return { kind: 'failed', error: error.cause };
  return { kind: 'not opened', error: error instanceof Error ? error : new Error(String(error)) };
}

/**
 * Decides what becomes of a row whose batch failed. Nobody pays for a neighbour's row: what may be one row's
 * fault is tried again row by row.
 *
 * 1. The model cannot be opened: that fails every row alike.
 * 2. The worker had not begun: the row runs again as if nothing had been.
 * 3. It had neighbours: again, alone.
 * 4. Alone, and the worker answered with an error: the error is its own.
 * 5. Alone, and it used up its time, or more memory than there is: the text is to blame.
 * 6. Alone, and the worker ended or did nothing: again, until that has happened too often.
 * 7. Then the text is to blame if workers ended. If they did nothing, they were stopped from outside.
 *
 * @param isAlone whether it was the only row of its batch.
 * @param losses workers that it has lost before.
 */
export function verdictOn(fault: Fault, isAlone: boolean, losses: number): Verdict {
  if (fault.kind === 'not opened') return { is: 'failed', error: fault.error }; // 1
  if (fault.kind === 'not begun') return { is: 'again', alone: false, counts: false }; // 2
  if (!isAlone) return { is: 'again', alone: true, counts: fault.kind === 'lost' }; // 3
  if (fault.kind === 'failed') return { is: 'failed', error: fault.error }; // 4
  const excess = EXCESSES[fault.ending];
  if (excess !== undefined) return { is: 'refused', reason: excess }; // 5
  if (losses + 1 < MAX_LOSSES) return { is: 'again', alone: true, counts: true }; // 6
  if (fault.ending === 'ended') {
    return { is: 'refused', reason: `ended ${MAX_LOSSES} workers that ran it` }; // 7
  }
  const message = `${MAX_LOSSES} workers stood still while they ran this input`;
  return {
    is: 'failed',
    error: new PlimsollError('WORKER_LOST', message, { retryAfterSeconds: 1 }),
  };
}
