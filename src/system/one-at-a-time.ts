/**
 * Bounds on file work that may hang with a disk or a process. Node has four threads for files: whatever hangs keeps
 * one of them, so repeated work must not take another each time.
 */

/** Repeated work of which one run at most is under way. */
export class SharedRun<T> {
  readonly #work: () => Promise<T>;
  #running: Promise<T> | undefined;
  #next: Promise<T> | undefined;

  constructor(work: () => Promise<T>) {
    this.#work = work;
  }

  /** A run that begins now, or when the one under way has ended: its outcome may be older than the call. */
  run(): Promise<T> {
    if (this.#running === undefined) return this.#start();
    const begin = () => {
      this.#next = undefined;
      return this.#running ?? this.#start();
    };
    this.#next ??= this.#running.then(begin, begin);
    return this.#next;
  }

  #start(): Promise<T> {
    const run = this.#work();
    this.#running = run;
    const over = () => {
      this.#running = undefined;
    };
    run.then(over, over);
    return run;
  }
}

/** Places that work takes one by one; more work waits, in the order in which it came. */
export class Places {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(count: number) {
    this.#free = count;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
