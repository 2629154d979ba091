import { setTimeout as delay } from 'node:timers/promises';
import { systemCodeOf } from '../../../errors.js';
import { InputError } from '../input-error.js';

const ATTEMPTS = 5;
const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 30_000;

/** A server is busy or broken for a while. */
export class BusyError extends Error {
  readonly retryAfterMs: number | undefined;

  constructor(message: string, retryAfter?: string) {
    super(message);
    const seconds = Number(retryAfter);
    this.retryAfterMs = retryAfter !== undefined && seconds >= 0 ? seconds * 1000 : undefined;
  }
}

/** Whether a reply says that the same request may go well later. */
export function isBusy(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 505);
}

/**
 * 1. What no other attempt mends, and what was stopped, is thrown at once.
 * 2. A name that does not exist is told at once, too.
 * 3. Else there are five attempts, with pauses that double, or that the server asks for.
 */
export class Retries {
  readonly #signal: AbortSignal;
  #failures = 0;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Bytes came: the next failure is the first one again. */
  progressed(): void {
    this.#failures = 0;
  }

  /** Waits until the next attempt. @throws the error if there is to be none */
  async wait(error: unknown): Promise<void> {
    this.#signal.throwIfAborted(); // 1
    if (error instanceof InputError) throw error;
    if (systemCodeOf(error) === 'ENOTFOUND') throw unknownHost(error); // 2
    this.#failures += 1;
    if (this.#failures >= ATTEMPTS) throw error; // 3
    const asked = error instanceof BusyError ? error.retryAfterMs : undefined;
    const pauseMs = asked ?? FIRST_PAUSE_MS * 2 ** (this.#failures - 1) * (0.5 + Math.random() / 2);
    await delay(Math.min(pauseMs, MAX_PAUSE_MS), undefined, { signal: this.#signal });
  }
}

function unknownHost(error: unknown): InputError {
  const host = error instanceof Error && 'hostname' in error ? String(error.hostname) : 'the host';
  return new InputError(`${host} has no address`, error);
}

export async function withRetries<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
  const retries = new Retries(signal);
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      await retries.wait(error);
    }
  }
}

/** A body, and which byte of the file it begins with. */
export interface OpenedBody {
  readonly from: number;
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * A range of a file over connections that break: it is opened again where it broke off.
 *
 * @param open from that byte on; a server without ranges begins at 0
 */
export async function* resumed(
  open: (start: number) => Promise<OpenedBody>,
  { start, end }: { readonly start: number; readonly end: number },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const retries = new Retries(signal);
  let at = start;
  while (at < end) {
    try {
      const { from, body } = await open(at);
      let position = from;
      for await (const chunk of body) {
        const piece = chunk.subarray(
          Math.max(0, Math.min(chunk.byteLength, at - position)),
          Math.max(0, end - position),
        );
        position += chunk.byteLength;
        if (piece.byteLength > 0) {
          at += piece.byteLength;
          retries.progressed();
          yield piece;
        }
        // More than was asked for: of a server without ranges.
        if (position > end) break;
      }
      if (at < end) throw new BusyError('the connection ended early');
    } catch (error) {
      await retries.wait(error);
    }
  }
}
