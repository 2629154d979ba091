import { PlimsollError } from '../../errors.js';
import {
  BatchError,
  type Stage,
  type WorkerEnding,
  WorkerGoneError,
} from '../workers/worker-gone.js';

/** What went wrong with a batch. */
export type Fault =
  /** The model could not be opened. */
  | { readonly kind: 'not opened'; readonly error: Error }
  /** The worker answered with an error. */
  | { readonly kind: 'failed'; readonly error: Error }
  /** The worker ended before it had begun with the batch. */
  | { readonly kind: 'not begun' }
  /** The worker ended while it ran the batch, or while it opened the model for it. */
  | {
      readonly kind: 'lost';
      readonly ending: WorkerEnding;
      readonly stage: Exclude<Stage, 'not begun'>;
    };

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

const EXCESSES: Readonly<Partial<Record<WorkerEnding, string>>> = {
  overran: 'takes far longer than texts of its length take',
  outgrew: 'takes more memory than the load line has',
};

/** @param error what running the batch has thrown. */
export function faultOf(error: unknown): Fault {
  if (error instanceof WorkerGoneError) {
    const { stage, ending } = error;
    return stage === 'not begun' ? { kind: 'not begun' } : { kind: 'lost', ending, stage };
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
 * 3. The worker was opening the model: again, until that has happened too often. No text is to blame for it.
 * 4. It had neighbours: again, alone.
 * 5. Alone, and the worker answered with an error: the error is its own.
 * 6. Alone, and it used up its time, or more memory than there is: the text is to blame.
 * 7. Alone, and the worker ended, did nothing or answered garbage: again, until that has happened too often.
 * 8. Then the text is to blame if workers ended. Otherwise something else stopped them, or damaged them.
 *
 * @param isAlone whether it was the only row of its batch.
 * @param losses workers that it has lost before.
 */
export function verdictOn(fault: Fault, isAlone: boolean, losses: number): Verdict {
  if (fault.kind === 'not opened') return { is: 'failed', error: fault.error }; // 1
  if (fault.kind === 'not begun') return { is: 'again', alone: false, counts: false }; // 2
  const isLast = losses + 1 >= MAX_LOSSES;
  if (fault.kind === 'lost' && fault.stage === 'opening') {
    if (isLast) return lostIn(`ended while they opened the model (${fault.ending})`); // 3
    return { is: 'again', alone: false, counts: true };
  }
  if (!isAlone) return { is: 'again', alone: true, counts: fault.kind === 'lost' }; // 4
  if (fault.kind === 'failed') return { is: 'failed', error: fault.error }; // 5
  const excess = EXCESSES[fault.ending];
  if (excess !== undefined) return { is: 'refused', reason: excess }; // 6
  if (!isLast) return { is: 'again', alone: true, counts: true }; // 7
  if (fault.ending === 'ended') {
    return { is: 'refused', reason: `ended ${MAX_LOSSES} workers that ran it` }; // 8
  }
  const what = fault.ending === 'garbled' ? 'answered garbage' : 'stood still';
  return lostIn(`${what} while they ran this input`);
}

function lostIn(what: string): Verdict {
  const message = `${MAX_LOSSES} workers ${what}`;
  const error = new PlimsollError('WORKER_LOST', message, { retryAfterSeconds: 1 });
  return { is: 'failed', error };
}
