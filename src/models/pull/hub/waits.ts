import { HubError } from '../hub-error.js';

/** Waits so many ms, or throws the signal's reason as soon as it is aborted. */
export type Wait = (ms: number, signal: AbortSignal) => Promise<void>;

/** Wait before the second attempt; doubles with each further one, ms. */
const FIRST_RETRY_MS = 500;
/** A hub that asks for a longer pause is not waited for, ms. */
const LONGEST_WAIT_MS = 60_000;

/**
 * How long to wait before the next attempt: what the hub asks for, else longer after each failure.
 *
 * @param failures in a row so far, from 1
 * @returns undefined if the hub asks for a pause that is too long to wait for
 */
export function retryWaitMs(error: unknown, failures: number): number | undefined {
  const asked = error instanceof HubError ? error.retryAfterMs : undefined;
  if (asked === undefined) return Math.min(LONGEST_WAIT_MS, FIRST_RETRY_MS * 2 ** (failures - 1));
  return asked > LONGEST_WAIT_MS ? undefined : asked;
}

export const wait: Wait = (ms, signal) => {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    return signal.addEventListener('abort', stop, { once: true });
  });
};
