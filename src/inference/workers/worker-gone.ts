/**
 * How a worker ended. `ended`: by itself, or killed by others; `overran`: killed because it used up the time of
 * what it was asked; `stalled`: killed because it did nothing at all; `outgrew`: killed because it took too much
 * memory.
 */
export type WorkerEnding = 'ended' | 'overran' | 'stalled' | 'outgrew';

/** A worker ended before it answered. */
export class WorkerGoneError extends Error {
  override readonly name = 'WorkerGoneError';
  readonly ending: WorkerEnding;
  /** Whether the worker was running what it did not answer; false if that waited behind another batch. */
  readonly wasRunning: boolean;

  constructor(
    message: string,
    facts: { readonly ending?: WorkerEnding; readonly wasRunning?: boolean } = {},
  ) {
    super(message);
    this.ending = facts.ending ?? 'ended';
    this.wasRunning = facts.wasRunning ?? true;
  }

  /** The same end as a batch sees it that was running, or waiting behind another one. */
  of(wasRunning: boolean): WorkerGoneError {
    return new WorkerGoneError(this.message, { ending: this.ending, wasRunning });
  }
}

/** The worker answered a batch with an error; the model itself was open. */
export class BatchError extends Error {
  override readonly name = 'BatchError';
  override readonly cause: Error;

  constructor(cause: Error) {
    super(cause.message);
    this.cause = cause;
  }
}
