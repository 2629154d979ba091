import { PlimsollError } from '../errors.js';

/** Runs at most so many tasks at a time; others wait in order, for a limited time. */
export class Limiter {
  readonly #name: string;
  readonly #max: number;
  readonly #waitMs: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  /** @param name for the error message. */
  constructor(name: string, max: number, waitMs: number) {
    this.#name = name;
    this.#max = max;
    this.#waitMs = waitMs;
  }

  /** @throws PlimsollError POOL_EXHAUSTED after the wait; what the task threw. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running < this.#max) this.#running += 1;
    else await this.#turn();
    try {
      return await task();
    } finally {
      // The next one takes this place over, so that nobody gets in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  #turn(): Promise<void> {
    return new Promise((resolve, reject) => {
      const start = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(start), 1);
        const message = `${this.#name}: ${this.#max} run at a time, and none ended within ${this.#waitMs} ms`;
        reject(new PlimsollError('POOL_EXHAUSTED', message, { retryAfterSeconds: 1 }));
      }, this.#waitMs);
      this.#waiting.push(start);
    });
  }
}
