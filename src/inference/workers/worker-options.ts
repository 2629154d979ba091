import type { Worker } from './worker.js';

export interface WorkerOptions {
  /** Name in logs and receipts, never reused. */
  readonly id: string;
  /** Path of the built worker-main module. */
  readonly module: string;
  readonly startTimeoutMs: number;
  /** Time for an answer to a message that runs no model: see {@link replyLimit}. */
  readonly replyTimeoutMs?: number;
  /** A process that has more private bytes while it is busy is killed. */
  readonly mostPrivateBytes?: number;
  /** Starts at a low priority: another worker serves until this one is ready. */
  readonly lowPriority?: boolean;
  readonly onExit: (worker: Worker, reason: string) => void;
  /** A model has moved to the hot gear. */
  readonly onShift?: (worker: Worker, model: string) => void;
  /** It has ended other work than a batch, and can take batches again. */
  readonly onFree?: () => void;
}
