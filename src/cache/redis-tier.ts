import { messageOf } from '../errors.js';
import { ConnectionPool } from '../pools/connection-pool.js';
import type { PoolLimits } from '../pools/pool.js';
import {
  type Circuit,
  type CircuitEvent,
  type CircuitState,
  CLOSED,
  nextCircuit,
} from './circuit.js';
import type { CachedResult } from './memory-tier.js';
import { ObservedTtl, type TtlRange } from './observed-ttl.js';
import { REPLY_LIMIT_MS, type RedisConnection, redisConnector } from './redis-connection.js';
import { countKeys, KEY_PREFIX, type KeysFigures, removeKeys } from './redis-keys.js';
import { RedisLookups, type Values } from './redis-lookups.js';
import { decodeResult, type StoredResult } from './redis-value.js';
import { RedisWriter } from './redis-writer.js';

/** Failures in a row after which Redis is left alone. */
const MOST_FAILURES = 5;
/** When nobody asked for so long, it is asked whether it is still there. */
const WATCH_MS = 5000;
/** Longest that a stop waits for what is still to be written. */
const LAST_WRITES_MS = 1000;
/** A page that shows the figures must not keep Redis busy with counting. */
const COUNT_SERVES_MS = 5000;

export interface RedisTierOptions {
  readonly url: string;
  readonly limits: PoolLimits;
  readonly ttlSeconds: number;
  /** Longest that a request waits for Redis. */
  readonly lookupBudgetMs: number;
  /** How long it is left alone before the next attempt. */
  readonly retryMs: number;
  /** It was left alone for this reason, or (`undefined`) answers again; once for each change. */
  readonly onState: (reason: string | undefined) => void;
  /** It takes no writes for this reason, or (`undefined`) takes them again; once for each change. */
  readonly onRefusal: (reason: string | undefined) => void;
  readonly onLookup: (ms: number) => void;
}

export interface RedisFigures {
  readonly hits: number;
  /** As for the memory tier. */
  readonly lifeLeft: TtlRange | undefined;
  readonly misses: number;
  /** Lookups that had no answer within the budget. */
  readonly failures: number;
  /** Values that could not be read, and were removed. */
  readonly unreadable: number;
  /** Results that were not written. */
  readonly dropped: number;
}

/** Results in Redis. Whatever happens there, no request fails or waits longer than the budget. */
export class RedisTier {
  readonly pool: ConnectionPool<RedisConnection>;
  readonly #options: RedisTierOptions;
  readonly #lookups: RedisLookups;
  readonly #writer: RedisWriter;
  readonly #lifeLeft = new ObservedTtl();
  readonly #counts = { hits: 0, misses: 0, failures: 0, unreadable: 0 };
  /** Not asked before {@link start} has seen it answer. */
  #circuit: Circuit = { ...CLOSED, state: 'trying' };
  #reason = 'it was not asked yet';
  #isToldAway = false;
  #counted: { readonly atMs: number; readonly keys: Promise<KeysFigures> } | undefined;
  #retry: NodeJS.Timeout | undefined;
  #watch: NodeJS.Timeout | undefined;
  #answers = 0;
  #stopped = false;

  constructor(options: RedisTierOptions) {
    const { limits, lookupBudgetMs } = options;
    this.#options = options;
    this.pool = new ConnectionPool('redis', limits, redisConnector(options.url));
    this.#lookups = new RedisLookups({
      pool: this.pool,
      // One connection is left for writes.
      maxInFlight: Math.max(1, limits.max - 1),
      budgetMs: lookupBudgetMs,
      onSuccess: (ms) => {
        options.onLookup(ms);
        this.#answers += 1;
        this.#tell('succeeded');
      },
      onFailure: (error) => this.#fail(error),
    });
    this.#writer = new RedisWriter({
      pool: this.pool,
      onRefusal: options.onRefusal,
      onFailure: (error) => this.#fail(error),
    });
  }

  get state(): CircuitState {
    return this.#circuit.state;
  }

  /** Why it is left alone; empty if it is not. */
  get awayBecause(): string {
    return this.#circuit.state === 'closed' ? '' : this.#reason;
  }

  get figures(): RedisFigures {
    return {
      ...this.#counts,
      dropped: this.#writer.dropped,
      lifeLeft: this.#lifeLeft.range,
    };
  }

  /** Looks once whether Redis answers. It need not: then it is left alone at first. */
  async start(): Promise<void> {
    await this.#attempt();
    this.#watchLater();
  }

  /** Writes what waits, for a moment at most, and closes every connection. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#watch);
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, LAST_WRITES_MS);
    });
    await Promise.race([this.#writer.flushed(), enough]);
    clearTimeout(timer);
    this.#writer.clear();
    await this.pool.close();
  }

  /**
   * What is known of these keys, in their order. Costs nothing while Redis is left alone.
   *
   * @param labels how many scores a result of this model has.
   */
  find(keys: readonly string[], labels: number): Promise<readonly (StoredResult | undefined)[]> {
    if (this.#circuit.state !== 'closed' || keys.length === 0) return Promise.resolve([]);
    const names = keys.map((key) => KEY_PREFIX + key);
    return this.#lookups.ask(names, (values) => this.#readAll(names, values, labels));
  }

  #readAll(
    names: readonly string[],
    values: Values | undefined,
    labels: number,
  ): readonly (StoredResult | undefined)[] {
    if (values === undefined) {
      this.#counts.failures += 1;
      return [];
    }
    let hits = 0;
    const found = names.map((name, index) => {
      const stored = this.#read(name, values[index] ?? null, labels);
      if (stored !== undefined) hits += 1;
      return stored;
    });
    this.#counts.hits += hits;
    this.#counts.misses += names.length - hits;
    return found;
  }

  /** Keeps a result, off the caller's path. */
  store(key: string, result: CachedResult): void {
    if (this.#circuit.state !== 'closed' || this.#stopped) return;
    const expiresAtMs = Date.now() + this.#options.ttlSeconds * 1000;
    this.#writer.write(KEY_PREFIX + key, { result, expiresAtMs });
  }

  /** Counts our keys; a count serves all who ask within some seconds. @throws Error if Redis does not answer */
  count(limitMs: number): Promise<KeysFigures> {
    const now = performance.now();
    if (this.#counted === undefined || now - this.#counted.atMs > COUNT_SERVES_MS) {
      const keys = countKeys(this.pool, limitMs);
      this.#counted = { atMs: now, keys };
    }
    return this.#counted.keys;
  }

  /** Removes our keys, those of other servers too. @throws Error if Redis does not answer */
  remove(limitMs: number): Promise<KeysFigures> {
    this.#writer.clear();
    this.#counted = undefined;
    return removeKeys(this.pool, limitMs);
  }

  #read(name: string, value: Buffer | null, labels: number): StoredResult | undefined {
    if (value === null) return undefined;
    const stored = decodeResult(value, labels);
    if (stored === undefined) {
      this.#counts.unreadable += 1;
      this.#writer.remove(name);
      return undefined;
    }
    const leftMs = stored.expiresAtMs - Date.now();
    if (leftMs <= 0) return undefined;
    this.#lifeLeft.add(leftMs);
    return stored;
  }

  #fail(error: unknown): void {
    this.#reason = messageOf(error) || String(error);
    this.#tell('failed');
  }

  /** Carries out what the circuit decides: one line of log and one timer for each opening. */
  #tell(event: CircuitEvent): void {
    const { retryMs, onState } = this.#options;
    const before = this.#circuit;
    const limits = { failures: MOST_FAILURES, pauseMs: retryMs };
    this.#circuit = nextCircuit(before, event, performance.now(), limits);
    const { state } = this.#circuit;
    if (state === before.state) return;
    if (state !== 'trying' && this.#isToldAway !== (state === 'open')) {
      this.#isToldAway = state === 'open';
      onState(state === 'open' ? this.#reason : undefined);
    }
    if (state !== 'open') return;
    this.#writer.clear();
    this.#retryLater();
  }

  #retryLater(): void {
    if (this.#stopped) return;
    // A timer may fire a moment early by the clock that the circuit goes by.
    this.#retry = setTimeout(() => {
      this.#tell('asked');
      if (this.#circuit.state === 'trying') void this.#attempt();
    }, this.#options.retryMs + 1).unref();
  }

  /** Without requests nobody would notice that Redis has gone, nor hear of it in the log. */
  #watchLater(): void {
    const before = this.#answers;
    this.#watch = setTimeout(async () => {
      const idle = this.#answers === before;
      for (
        let left = MOST_FAILURES;
        idle && left > 0 && this.#circuit.state === 'closed';
        left -= 1
      ) {
        if (await this.#attempt()) break;
      }
      if (!this.#stopped) this.#watchLater();
    }, WATCH_MS).unref();
  }

  /** One attempt, on nobody's path: an open connection, and a lookup answered within the budget. */
  async #attempt(): Promise<boolean> {
    const before = this.#answers;
    try {
      await this.pool.use((connection) =>
        connection.within(REPLY_LIMIT_MS, connection.send(['PING'])),
      );
      await this.#lookups.ask([KEY_PREFIX], (values) => values);
    } catch (error) {
      this.#fail(error);
    }
    // The lookup itself has told how it ended, unless it found no connection free.
    if (this.#circuit.state === 'trying') this.#fail(new Error('no connection came free in time'));
    return this.#answers > before;
  }
}
