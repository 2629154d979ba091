import type { PressureAction } from './policy.js';
import type { Receipt } from './receipt.js';

/** Outcome of one step. */
export interface StepOutcome {
  readonly worker?: string;
  /** Private bytes that came back; negative if the process grew. */
  readonly freedBytes: number;
  /** Cache entries that were removed. */
  readonly entries?: number;
}

/** A worker as the manager sees it. */
export interface WorkerFacts {
  readonly id: string;
  readonly idle: boolean;
  /** Models that are open in it. */
  readonly models: readonly string[];
  /** Milliseconds since it was started. */
  readonly ageMs: number;
  /** Batches that it has run. */
  readonly completedBatches: number;
}

/** A model that is open in a worker. */
export interface HeldModel {
  readonly worker: string;
  readonly model: string;
  readonly gear: 'cold' | 'hot';
  /** Batches it has run there since it was opened. */
  readonly batches: number;
}

/** Whether the new worker starts before or after the old one leaves. */
export type ReplaceOrder = 'start first' | 'leave first';

/** The actions open to the memory manager; `app/memory-effects.ts` implements them. */
export interface MemoryEffects {
  readonly workers: () => readonly WorkerFacts[];
  /** Whether a request waits for the model. */
  readonly isWanted: (model: string) => boolean;
  /** Whether far more inputs wait than the workers can start at once. */
  readonly isRushed: () => boolean;
  /** Releases the model in every worker, unless it is wanted. */
  readonly unload: (model: string) => Promise<readonly StepOutcome[]>;
  /** Collects garbage in every idle worker. */
  readonly collectWorkers: () => Promise<readonly StepOutcome[]>;
  /**
   * Replaces a worker without losing the work it holds.
   *
   * @param hot model that the new worker opens in the hot gear, beside those that were hot already.
   */
  readonly replaceWorker: (
    worker: string,
    order: ReplaceOrder,
    hot?: string,
  ) => Promise<StepOutcome>;
  /** Open models, once for each worker. */
  readonly heldModels: () => readonly HeldModel[];
  /** Moves a model to the hot gear in one worker while another one serves it; empty if not possible now. */
  readonly shift: (worker: string, model: string) => Promise<readonly StepOutcome[]>;
  /** Clears the in-process caches. @returns their accounted bytes. */
  readonly clearCaches: () => number;
  /** Halves the in-process caches. @returns the accounted bytes that were dropped. */
  readonly halveCaches: () => number;
  /**
   * Removes our keys from Redis if the settings allow it. Bytes are the decrease of Redis's own memory.
   */
  readonly clearRedis: () => Promise<readonly StepOutcome[]>;
  /** Turns a lasting action on or off: smaller batches, refusals. */
  readonly hold: (action: PressureAction, on: boolean) => void;
  readonly keepReceipt: (receipt: Receipt) => void;
}
