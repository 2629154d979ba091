/** How one computation ended for those who wait for it. */
type Ending<V> =
  | { readonly state: 'done'; readonly value: V }
  /** The caller that computed it has left: who still wants it computes it, once for all of them. */
  | { readonly state: 'abandoned' }
  /** The reason may be the other request's own (too many inputs for the queue): try for oneself. */
  | { readonly state: 'failed' };

/** What stops a caller's work; its signal may be made only when somebody asks for it. */
export interface Stop {
  readonly signal: AbortSignal;
}

interface Flight<V> {
  readonly ending: Promise<Ending<V>>;
  readonly end: (ending: Ending<V>) => void;
}

/** Lets concurrent requests for the same key share one computation; failures are never shared. */
export class SingleFlight<V> {
  readonly #flights = new Map<string, Flight<V>>();

  /** Keys that are being computed now. */
  get size(): number {
    return this.#flights.size;
  }

  /** Whether it is being computed now. */
  has(key: string): boolean {
    return this.#flights.has(key);
  }

  /**
   * One value for each key, in their order; keys may repeat.
   *
   * A request starts its own computation before it waits for others', so two requests that need
   * keys of each other cannot wait in a circle.
   *
   * @param stop its signal is asked for where a request waits for another's work, or its own failed.
   * @param compute is given keys of which each occurs once, and returns their values in order.
   * @throws what `compute` throws, or the signal's reason
   */
  async run(
    keys: readonly string[],
    stop: Stop,
    compute: (keys: readonly string[]) => Promise<readonly V[]>,
  ): Promise<readonly V[]> {
    const values = new Map<string, V>();
    let open = new Set(keys);
    while (open.size > 0) {
      const joined = [...open].flatMap((key) => {
        const flight = this.#flights.get(key);
        return flight === undefined ? [] : [{ key, flight }];
      });
      const own = [...open].filter((key) => !this.#flights.has(key));
      if (own.length > 0) await this.#lead(own, stop, compute, values);
      const failed: string[] = [];
      open = new Set();
      for (const { key, flight } of joined) {
        const ending = await unlessAborted(flight.ending, stop.signal);
        if (ending.state === 'done') values.set(key, ending.value);
        if (ending.state === 'failed') failed.push(key);
        if (ending.state === 'abandoned') open.add(key);
      }
      if (failed.length > 0) store(values, failed, await compute(failed));
    }
    return keys.map((key) => computedValue(values, key));
  }

  async #lead(
    keys: readonly string[],
    stop: Stop,
    compute: (keys: readonly string[]) => Promise<readonly V[]>,
    values: Map<string, V>,
  ): Promise<void> {
    for (const key of keys) {
      this.#flights.set(key, startFlight());
    }
    let failed: Ending<V> = { state: 'failed' };
    try {
      store(values, keys, await compute(keys));
    } catch (error) {
      if (stop.signal.aborted) failed = { state: 'abandoned' };
      throw error;
    } finally {
      for (const key of keys) {
        const flight = this.#flights.get(key);
        this.#flights.delete(key);
        const value = values.get(key);
        flight?.end(value === undefined ? failed : { state: 'done', value });
      }
    }
  }
}

function startFlight<V>(): Flight<V> {
  let end: Flight<V>['end'] = () => undefined;
  const ending = new Promise<Ending<V>>((resolve) => {
    end = resolve;
  });
  return { ending, end };
}

function store<V>(values: Map<string, V>, keys: readonly string[], computed: readonly V[]): void {
  keys.forEach((key, index) => {
    const value = computed[index];
    if (value !== undefined) values.set(key, value);
  });
}

function computedValue<V>(values: ReadonlyMap<string, V>, key: string): V {
  const value = values.get(key);
  if (value === undefined) throw new Error('a computation left one of its keys without a value');
  return value;
}

/** The promise's outcome, or the signal's reason if that comes first. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
