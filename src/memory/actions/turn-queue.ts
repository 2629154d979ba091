interface Waiting {
  readonly isFirst: boolean;
  readonly start: () => Promise<void>;
}

/**
 * Runs one piece of work at a time, in the order in which they were asked for. Work that somebody waits for goes
 * before the rest.
 */
export class TurnQueue {
  readonly #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;

  /** @param isFirst whether it goes before all that are not. */
  run<T>(work: () => Promise<T>, isFirst = false): Promise<T> {
    return new Promise((resolve, reject) => {
      const start = () => work().then(resolve, reject);
      const at = isFirst ? this.#waiting.findIndex((other) => !other.isFirst) : -1;
      this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, { isFirst, start });
      this.#running ??= this.#runAll();
    });
  }

  /** Resolves when nothing runs or waits. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #runAll(): Promise<void> {
    // Whoever asks in the same turn of the event loop is sorted in before the first one starts.
    await Promise.resolve();
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      await next.start();
    }
    this.#running = undefined;
  }
}
