/** How a worker is started and watched. `W`: the worker itself, which is told of. */
export interface WorkerOptions<W> {
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
  readonly onExit: (worker: W, reason: string) => void;
  /** A model has moved to the hot gear. */
  readonly onShift?: (worker: W, model: string) => void;
  /** It has ended other work than a batch, and can take batches again. */
  readonly onFree?: () => void;
}
