/** Carries the signal that cancels a caller's work. An implementation may create the signal on first use. */
export interface Abortable {
  readonly signal: AbortSignal;
}

/** The promise's outcome, or a rejection with the signal's reason if that fires first. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    // It has begun, and nobody waits for it any more: a failure that nobody takes would end this process.
    work.catch(() => undefined);
    throw signal.reason;
  }
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
