/**
 * How a worker ended. `ended`: by itself, or killed by others; `overran`: killed because it used up the time of
 * what it was asked; `stalled`: killed because it did nothing at all; `outgrew`: killed because it took too much
 * memory; `garbled`: killed because what it sent was no answer.
 */
export type WorkerEnding = 'ended' | 'overran' | 'stalled' | 'outgrew' | 'garbled';

/** Why a worker was killed from here. */
export interface Killed {
  readonly ending: WorkerEnding;
  readonly reason: string;
}

/**
 * How far a worker had come with a request when it ended. `running`: it worked on it; `opening`: it was still opening
 * the model that the request runs; `not begun`: the request waited behind another one, or was never received.
 */
export type Stage = 'running' | 'opening' | 'not begun';

/** A worker ended before it answered. */
export class WorkerGoneError extends Error {
  override readonly name = 'WorkerGoneError';
  readonly ending: WorkerEnding;
  readonly stage: Stage;

  constructor(
    message: string,
    facts: { readonly ending?: WorkerEnding; readonly stage?: Stage } = {},
  ) {
    super(message);
    this.ending = facts.ending ?? 'ended';
    this.stage = facts.stage ?? 'running';
  }

  /** The same end as a request at that stage sees it. */
  at(stage: Stage): WorkerGoneError {
    return new WorkerGoneError(this.message, { ending: this.ending, stage });
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
