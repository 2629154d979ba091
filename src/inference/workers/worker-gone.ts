/** A worker ended while it had something to answer. */
export class WorkerGoneError extends Error {
  override readonly name = 'WorkerGoneError';
  /** Whether it had begun with that. */
  readonly begun: boolean;

  constructor(message: string, begun = true) {
    super(message);
    this.begun = begun;
  }
}
