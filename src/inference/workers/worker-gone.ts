/** A worker ended before it answered. */
export class WorkerGoneError extends Error {
  override readonly name = 'WorkerGoneError';
  /** Whether the worker was running what it did not answer; false if that waited behind another batch. */
  readonly wasRunning: boolean;

  constructor(message: string, wasRunning = true) {
    super(message);
    this.wasRunning = wasRunning;
  }
}
