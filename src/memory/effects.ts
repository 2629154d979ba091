import type { PressureAction } from './policy.js';
import type { Receipt } from './receipt.js';

/** A step that was taken, and the private bytes that came back. */
export interface StepOutcome {
  readonly worker?: string;
  readonly freedBytes: number;
  /** Entries that were removed, where it is entries that were. */
  readonly entries?: number;
}

/** A worker as the manager sees it. */
export interface WorkerFacts {
  readonly id: string;
  readonly idle: boolean;
  /** Models that it holds open. */
  readonly models: readonly string[];
  /** Milliseconds since it was started. */
  readonly ageMs: number;
  /** Batches that it has run. */
  readonly completedBatches: number;
}

/** A model that a worker holds open. */
export interface HeldModel {
  readonly worker: string;
  readonly model: string;
  readonly gear: 'cold' | 'hot';
  /** Batches that it has run there since it was opened. */
  readonly batches: number;
}

/** How a worker is replaced: with the old one still there, or after it has left. */
export type ReplaceOrder = 'start first' | 'leave first';

/** What the manager acts through; `app.ts` hands it the real things. */
export interface MemoryEffects {
  readonly workers: () => readonly WorkerFacts[];
  /** Whether someone waits for an answer of the model. */
  readonly isWanted: (model: string) => boolean;
  /** Whether far more inputs wait than the workers can take on at once. */
  readonly isRushed: () => boolean;
  /** Releases the model in every worker, unless it is wanted. */
  readonly unload: (model: string) => Promise<readonly StepOutcome[]>;
  /** Collects garbage in every idle worker. */
  readonly collectWorkers: () => Promise<readonly StepOutcome[]>;
  /**
   * Replaces a worker; nothing that it works on is lost.
   *
   * @param hot model that the new one opens in the hot gear; those that were hot already are in any case.
   */
  readonly replaceWorker: (
    worker: string,
    order: ReplaceOrder,
    hot?: string,
  ) => Promise<StepOutcome>;
  /** What the workers hold, each model once for each worker. */
  readonly heldModels: () => readonly HeldModel[];
  /** Moves a model to the hot gear in one worker while another one answers; empty if that cannot be now. */
  readonly shift: (worker: string, model: string) => Promise<readonly StepOutcome[]>;
  /** Drops every entry of the in-process caches. @returns bytes that they were counted with. */
  readonly clearCaches: () => number;
  /** Halves the in-process caches. @returns bytes that were dropped. */
  readonly halveCaches: () => number;
  /**
   * Removes our keys from a Redis that the policy allows to clear; nothing if there is none.
   * The bytes are those that Redis's own memory fell by.
   */
  readonly clearRedis: () => Promise<readonly StepOutcome[]>;
  /** Holds or releases what lasts: smaller batches, refusals. */
  readonly hold: (action: PressureAction, on: boolean) => void;
  readonly keepReceipt: (receipt: Receipt) => void;
}
