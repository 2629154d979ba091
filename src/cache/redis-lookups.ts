import type { ConnectionPool } from '../pools/connection-pool.js';
import { Patience, type Waiting } from './patience.js';
import { REPLY_LIMIT_MS, type RedisConnection } from './redis-connection.js';

/** Keys of one MGET, unless one request alone has more. */
const MOST_KEYS = 256;
/** Keys that wait for their MGET, at most; who comes then goes on without Redis. */
const MOST_WAITING_KEYS = 4096;

export type Values = readonly (Buffer | null)[];

/** One request's keys. */
interface Lookup extends Waiting {
  readonly keys: readonly string[];
  /** To be called once; `undefined`: no answer in time. */
  readonly resolve: (values: Values | undefined) => void;
  state: 'waiting' | 'asked' | 'settled';
  group: Group | undefined;
}

/** Lookups that share one MGET; it fails once, however many of them wait. */
interface Group {
  failed: boolean;
}

export interface LookupsOptions {
  readonly pool: ConnectionPool<RedisConnection>;
  /** Groups that are out at the same time: each holds a connection. */
  readonly mostGroups: number;
  /** Longest that a request waits, by {@link Patience}. */
  readonly budgetMs: number;
  readonly onSuccess: (ms: number) => void;
  readonly onFailure: (error: unknown) => void;
}

/** Reads of many requests at once: those that come in one turn of the event loop share an MGET. */
export class RedisLookups {
  readonly #options: LookupsOptions;
  readonly #patience: Patience;
  readonly #waiting: Lookup[] = [];
  #waitingKeys = 0;
  #groups = 0;
  #scheduled = false;

  constructor(options: LookupsOptions) {
    this.#options = options;
    this.#patience = new Patience(options.budgetMs);
  }

  /**
   * What `read` makes of the values of the keys in their order; of `undefined` if they do not come
   * within the budget. It must not throw.
   */
  ask<T>(keys: readonly string[], read: (values: Values | undefined) => T): Promise<T> {
    if (this.#waitingKeys + keys.length > MOST_WAITING_KEYS)
      return Promise.resolve(read(undefined));
    return new Promise((resolve) => {
      const lookup: Lookup = {
        keys,
        untilMs: 0,
        giveUp: () => this.#giveUp(lookup),
        resolve: (values) => resolve(read(values)),
        state: 'waiting',
        group: undefined,
      };
      this.#patience.begin(lookup);
      this.#waiting.push(lookup);
      this.#waitingKeys += keys.length;
      this.#schedule();
    });
  }

  #settle(lookup: Lookup, values: Values | undefined): void {
    this.#patience.end(lookup);
    lookup.state = 'settled';
    lookup.resolve(values);
  }

  #giveUp(lookup: Lookup): void {
    if (lookup.state === 'waiting') {
      this.#waiting.splice(this.#waiting.indexOf(lookup), 1);
      this.#waitingKeys -= lookup.keys.length;
    }
    // Without a group it found every connection waiting for its answer: that is a failure of its own.
    const { budgetMs } = this.#options;
    this.#fail(lookup.group ?? { failed: false }, new Error(`no answer within ${budgetMs} ms`));
    this.#settle(lookup, undefined);
  }

  #fail(group: Group, error: unknown): void {
    if (group.failed) return;
    group.failed = true;
    this.#options.onFailure(error);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#dispatch();
    });
  }

  #dispatch(): void {
    while (this.#waiting.length > 0 && this.#groups < this.#options.mostGroups) {
      const lookups = this.#takeGroup();
      const group: Group = { failed: false };
      for (const lookup of lookups) {
        lookup.state = 'asked';
        lookup.group = group;
      }
      this.#groups += 1;
      void this.#fetch(lookups, group).finally(() => {
        this.#groups -= 1;
        this.#dispatch();
      });
    }
  }

  #takeGroup(): readonly Lookup[] {
    let [length, keys] = [0, 0];
    for (const lookup of this.#waiting) {
      if (length > 0 && keys + lookup.keys.length > MOST_KEYS) break;
      length += 1;
      keys += lookup.keys.length;
    }
    this.#waitingKeys -= keys;
    return this.#waiting.splice(0, length);
  }

  async #fetch(lookups: readonly Lookup[], group: Group): Promise<void> {
    const begun = performance.now();
    try {
      const values = await this.#options.pool.use(async (connection) => {
        // While it waited for a connection everyone may have gone on without.
        if (lookups.every(({ state }) => state === 'settled')) return undefined;
        const command = ['MGET', ...lookups.flatMap(({ keys }) => keys)];
        return connection.within(REPLY_LIMIT_MS, connection.send<Values>(command));
      });
      if (values === undefined) return;
      if (!group.failed) this.#options.onSuccess(performance.now() - begun);
      let at = 0;
      for (const lookup of lookups) {
        const own = values.slice(at, at + lookup.keys.length);
        at += lookup.keys.length;
        if (lookup.state === 'asked') this.#settle(lookup, own);
      }
    } catch (error) {
      this.#fail(group, error);
      for (const lookup of lookups) {
        if (lookup.state === 'asked') this.#settle(lookup, undefined);
      }
    }
  }
}
