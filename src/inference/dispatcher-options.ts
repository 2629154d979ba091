import type { ReadyModel } from '../models/library.js';
import type { Refusal } from './faults/faults.js';
import type { ModelLoadsOptions } from './loads/model-loads.js';
import type { BatchLimits } from './queue/scheduler.js';
import type { LiveInput } from './shadow-checks.js';

export interface DispatcherOptions extends ModelLoadsOptions {
  readonly limits: BatchLimits;
  /** Part of the work that jobs get at least while callers wait, from 0 to 1. */
  readonly jobShare?: number;
  /** Most inputs that may wait. */
  readonly maxWaiting: number;
  /** Most of them by one user; see {@link QueueGate}. */
  readonly maxWaitingOfUser: number;
  /** Requests that would be answered later are refused on arrival. */
  readonly deadlineMs: number;
  /** Called for every request that enters the queue. */
  readonly onArrival: (model: string) => void;
  /** Called for every batch that was answered. */
  readonly onBatch: (batch: BatchFacts) => void;
  /**
   * Called when the answers of a batch of `count` inputs have left, with the first of them.
   *
   * @returns settles, and never rejects, when a worker that it took for that is free again; undefined if it took none
   */
  readonly onAnswered?: (
    ready: ReadyModel,
    count: number,
    input: LiveInput,
  ) => Promise<void> | undefined;
  /** Called when a text or a model is refused for a while. */
  readonly onRefusal?: (refusal: Refusal) => void;
}

export interface BatchFacts {
  readonly model: string;
  readonly items: number;
  readonly tokenizeMs: number;
  readonly runMs: number;
  readonly retried: boolean;
}
