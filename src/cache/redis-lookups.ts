import type { ConnectionPool } from '../pools/connection-pool.js';
import { LookupDeadline, type Waiter } from './lookup-deadline.js';
import { REPLY_LIMIT_MS, type RedisConnection } from './redis-connection.js';

/** Keys in one MGET; a single request with more keys gets an MGET of its own. */
const MAX_GROUP_KEYS = 256;
/** Keys that may wait for an MGET; further requests skip Redis. */
const MAX_WAITING_KEYS = 4096;

export type Values = readonly (Buffer | null)[];

/** One request's keys. */
interface Lookup extends Waiter {
  readonly keys: readonly string[];
  /** Called once; `undefined`: no reply in time. */
  readonly resolve: (values: Values | undefined) => void;
  state: 'waiting' | 'asked' | 'settled';
  group: Group | undefined;
}

/** Lookups that share one MGET; its failure is counted once, not once a lookup. */
interface Group {
  failed: boolean;
}

export interface LookupsOptions {
  readonly pool: ConnectionPool<RedisConnection>;
  /** MGETs in flight at the same time: each holds a connection. */
  readonly maxInFlight: number;
  /** Longest wait of a request, by the clock of {@link LookupDeadline}. */
  readonly budgetMs: number;
  readonly onSuccess: (ms: number) => void;
  readonly onFailure: (error: unknown) => void;
}

/** Combines lookups: all requests of one event loop turn share an MGET. */
export class RedisLookups {
  readonly #options: LookupsOptions;
  readonly #deadline: LookupDeadline;
  readonly #waiting: Lookup[] = [];
  #waitingKeys = 0;
  #groups = 0;
  #scheduled = false;

  constructor(options: LookupsOptions) {
    this.#options = options;
    this.#deadline = new LookupDeadline(options.budgetMs);
  }

  /**
   * Looks the keys up.
   *
   * @param read gets the values in the order of the keys, or `undefined` if they did not arrive within the
   * budget; it must not throw.
   * @returns what `read` returned.
   */
  ask<T>(keys: readonly string[], read: (values: Values | undefined) => T): Promise<T> {
    if (this.#waitingKeys + keys.length > MAX_WAITING_KEYS) return Promise.resolve(read(undefined));
    return new Promise((resolve) => {
      const lookup: Lookup = {
        keys,
        deadlineMs: 0,
        expire: () => this.#expire(lookup),
        resolve: (values) => resolve(read(values)),
        state: 'waiting',
        group: undefined,
      };
      this.#deadline.start(lookup);
      this.#waiting.push(lookup);
      this.#waitingKeys += keys.length;
      this.#schedule();
    });
  }

  #settle(lookup: Lookup, values: Values | undefined): void {
    this.#deadline.cancel(lookup);
    lookup.state = 'settled';
    lookup.resolve(values);
  }

  #expire(lookup: Lookup): void {
    if (lookup.state === 'waiting') {
      this.#waiting.splice(this.#waiting.indexOf(lookup), 1);
      this.#waitingKeys -= lookup.keys.length;
    }
    // Without a group every connection was still waiting for a reply: a failure of its own.
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
    while (this.#waiting.length > 0 && this.#groups < this.#options.maxInFlight) {
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
      if (length > 0 && keys + lookup.keys.length > MAX_GROUP_KEYS) break;
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
        // All of them may have expired while the group waited for a connection.
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
