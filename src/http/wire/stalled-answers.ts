import type { Socket } from 'node:net';

/** An answer of which the client takes nothing for so long is given up, with its connection, ms. */
export const STALLED_ANSWER_MS = 30_000;

/**
 * Ends connections whose client does not read its answer. What fits into the system's buffers counts as sent; the rest
 * of a longer answer would wait for ever. A client that reads slowly is kept: any progress begins the time anew, which is
 * how a socket's timeout works. Node looks at the progress of a long write only when the time is over, so a client that has
 * read some of it has up to twice the time.
 */
export class StalledAnswers {
  readonly #limitMs: number;
  readonly #cut: (this: Socket) => void;
  readonly #watched = new Set<Socket>();

  constructor(limitMs: number, onCut: () => void) {
    this.#limitMs = limitMs;
    this.#cut = function cut() {
      onCut();
      this.destroy();
    };
  }

  /** Watches the connections whose answer waits for the client, and no longer those that go on. To be called regularly. */
  look(answering: Iterable<Socket>): void {
    for (const socket of answering) {
      const waits = socket.writableLength > 0;
      if (waits === this.#watched.has(socket)) continue;
      if (waits) {
        this.#watched.add(socket);
        socket.setTimeout(this.#limitMs);
        socket.once('timeout', this.#cut);
      } else {
        socket.setTimeout(0);
        this.forget(socket);
      }
    }
  }

  /** The answer has left, or the connection has closed. The time limit of an idle connection is Node's, and stays. */
  forget(socket: Socket): void {
    if (this.#watched.delete(socket)) socket.removeListener('timeout', this.#cut);
  }
}
