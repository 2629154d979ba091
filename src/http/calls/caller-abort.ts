import type { FastifyRequest } from 'fastify';
import type { Abortable } from '../../cache/abortable.js';
import { PlimsollError } from '../../errors.js';

/** Works until the deadline passes or the caller disconnects. */
export async function whileWanted<T>(
  request: Pick<FastifyRequest, 'raw'>,
  deadlineMs: number,
  work: (abort: CallerAbort) => Promise<T>,
): Promise<T> {
  const abort = new CallerAbort(request, deadlineMs);
  try {
    return await work(abort);
  } finally {
    abort.clear();
  }
}

/** Fires when the deadline is over or the caller has closed the connection. */
export class CallerAbort implements Abortable {
  readonly beganMs = performance.now();
  readonly #request: Pick<FastifyRequest, 'raw'>;
  readonly #deadlineMs: number;
  #signal: AbortSignal | undefined;
  #clear: (() => void) | undefined;

  constructor(request: Pick<FastifyRequest, 'raw'>, deadlineMs: number) {
    this.#request = request;
    this.#deadlineMs = deadlineMs;
  }

  /** Made on first use: an answer from the cache never waits for anything. */
  get signal(): AbortSignal {
    this.#signal ??= this.#watch();
    return this.#signal;
  }

  clear(): void {
    this.#clear?.();
  }

  #watch(): AbortSignal {
    const controller = new AbortController();
    const leftMs = this.beganMs + this.#deadlineMs - performance.now();
    const timer = setTimeout(() => {
      const message = `the answer was not ready within ${this.#deadlineMs} ms`;
      controller.abort(new PlimsollError('DEADLINE_EXCEEDED', message, { retryAfterSeconds: 1 }));
    }, leftMs);
    const { socket } = this.#request.raw;
    const gone = () => {
      controller.abort(new PlimsollError('CLIENT_GONE', 'the caller closed the connection'));
    };
    socket.once('close', gone);
    // The connection may have closed before the first use.
    if (socket.destroyed) gone();
    this.#clear = () => {
      clearTimeout(timer);
      socket.off('close', gone);
    };
    return controller.signal;
  }
}
