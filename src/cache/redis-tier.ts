import { messageOf } from '../errors.js';
import type { ConnectionPool } from '../pools/connection-pool.js';
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
import { REPLY_LIMIT_MS, type RedisConnection, redisPool } from './redis-connection.js';
import { countKeys, KEY_PREFIX, type KeysFigures, removeKeys } from './redis-keys.js';
import { RedisLookups, type Values } from './redis-lookups.js';
import { ResultCodec, type StoredResult } from './redis-value.js';
import { RedisWriter } from './redis-writer.js';

/** Consecutive failures after which Redis is no longer asked. */
const MAX_FAILURES = 5;
/** Without lookups for so long, a probe looks whether Redis still answers. */
const WATCH_MS = 5000;
/** Longest wait of a stop for results that are still to be written. */
const LAST_WRITES_MS = 1000;
/** A count of the keys is reused for so long: an open page must not keep Redis busy with counting. */
const COUNT_VALID_MS = 5000;

/** They are never written. */
const PROBE_KEYS = [KEY_PREFIX, `${KEY_PREFIX}probe`];

export interface RedisTierOptions {
  readonly url: string;
  /** Key of the tags of all values; servers that share the cache share it. */
  readonly secret: string;
  readonly limits: PoolLimits;
  readonly ttlSeconds: number;
  /** Longest wait of a request for Redis. */
  readonly lookupBudgetMs: number;
  /** Time after which a Redis that failed is probed again. */
  readonly retryMs: number;
  /** Why Redis is no longer asked; `undefined`: it answers again. Once for each change. */
  readonly onState: (reason: string | undefined) => void;
  /** Why Redis refuses writes; `undefined`: it accepts them again. Once for each change. */
  readonly onRefusal: (reason: string | undefined) => void;
  readonly onLookup: (ms: number) => void;
}

export interface RedisFigures {
  readonly hits: number;
  /** See the memory tier. */
  readonly lifeLeft: TtlRange | undefined;
  readonly misses: number;
  /** Lookups without an answer within the budget. */
  readonly failures: number;
  /** Values that were not ours for their key, or damaged; they were removed. */
  readonly unreadable: number;
  /** Results that were not written. */
  readonly dropped: number;
}

/** Results in Redis. Whatever happens there, no request fails or waits longer than the budget. */
export class RedisTier {
  readonly pool: ConnectionPool<RedisConnection>;
  readonly #options: RedisTierOptions;
  readonly #codec: ResultCodec;
  readonly #lookups: RedisLookups;
  readonly #writer: RedisWriter;
  readonly #lifeLeft = new ObservedTtl();
  readonly #counts = { hits: 0, misses: 0, failures: 0, unreadable: 0 };
  /** Redis is not asked before {@link start} has seen it answer. */
  #circuit: Circuit = { ...CLOSED, state: 'trying' };
  #reason = 'it was not asked yet';
  #toldAway = false;
  #counted: { readonly atMs: number; readonly keys: Promise<KeysFigures> } | undefined;
  #retry: NodeJS.Timeout | undefined;
  #watch: NodeJS.Timeout | undefined;
  #answers = 0;
  #stopped = false;

  constructor(options: RedisTierOptions) {
    const { limits, lookupBudgetMs } = options;
    this.#options = options;
    this.pool = redisPool(options.url, limits);
    this.#codec = new ResultCodec(options.secret);
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
      codec: this.#codec,
      onRefusal: options.onRefusal,
      onFailure: (error) => this.#fail(error),
    });
  }

  get state(): CircuitState {
    return this.#circuit.state;
  }

  /** Why Redis is not asked; empty while it is. */
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

  /** Probes Redis once. If it does not answer, the server starts without it. */
  async start(): Promise<void> {
    await this.#probe();
    this.#watchLater();
  }

  /** Writes what waits, within a time limit, and closes every connection. */
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
   * Looks the keys up. Costs nothing while Redis is not asked.
   *
   * @param labels number of scores in a result of this model.
   * @returns results in the order of the keys; empty where nothing is known.
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

  /** Writes a result in the background. */
  store(key: string, result: CachedResult): void {
    if (this.#circuit.state !== 'closed' || this.#stopped) return;
    const expiresAtMs = Date.now() + this.#options.ttlSeconds * 1000;
    this.#writer.write(KEY_PREFIX + key, { result, expiresAtMs });
  }

  /** Counts our keys; the count is reused for some seconds. @throws Error if Redis does not answer */
  count(limitMs: number): Promise<KeysFigures> {
    const now = performance.now();
    if (this.#counted === undefined || now - this.#counted.atMs > COUNT_VALID_MS) {
      const keys = countKeys(this.pool, limitMs);
      this.#counted = { atMs: now, keys };
    }
    return this.#counted.keys;
  }

  /** Removes our keys, also those that other servers wrote. @throws Error if Redis does not answer */
  remove(limitMs: number): Promise<KeysFigures> {
    this.#writer.clear();
    this.#counted = undefined;
    return removeKeys(this.pool, limitMs);
  }

  #read(name: string, value: Buffer | null, labels: number): StoredResult | undefined {
    if (value === null) return undefined;
    const stored = this.#codec.decode(name, value, labels);
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

  /** Carries out what the circuit decides: one log line and one timer for each opening. */
  #tell(event: CircuitEvent): void {
    const { retryMs, onState } = this.#options;
    const before = this.#circuit;
    const limits = { failures: MAX_FAILURES, pauseMs: retryMs };
    this.#circuit = nextCircuit(before, event, performance.now(), limits);
    const { state } = this.#circuit;
    if (state === before.state) return;
    if (state !== 'trying' && this.#toldAway !== (state === 'open')) {
      this.#toldAway = state === 'open';
      onState(state === 'open' ? this.#reason : undefined);
    }
    if (state !== 'open') return;
    this.#writer.clear();
    this.#retryLater();
  }

  #retryLater(): void {
    if (this.#stopped) return;
    // A timer may fire a moment early by the circuit's clock.
    this.#retry = setTimeout(() => {
      this.#tell('asked');
      if (this.#circuit.state === 'trying') void this.#probe();
    }, this.#options.retryMs + 1).unref();
  }

  /** Without lookups nobody would notice, and nothing would log, that Redis is gone. */
  #watchLater(): void {
    const before = this.#answers;
    this.#watch = setTimeout(async () => {
      const idle = this.#answers === before;
      for (
        let left = MAX_FAILURES;
        idle && left > 0 && this.#circuit.state === 'closed';
        left -= 1
      ) {
        if (await this.#probe()) break;
      }
      if (!this.#stopped) this.#watchLater();
    }, WATCH_MS).unref();
  }

  /**
   * A probe that no request waits for: a connection, and a lookup of several keys within the budget. It asks
   * like a request, so that what fails for requests fails for the probe too.
   */
  async #probe(): Promise<boolean> {
    const before = this.#answers;
    try {
      await this.pool.use((connection) =>
        connection.within(REPLY_LIMIT_MS, connection.send(['PING'])),
      );
      await this.#lookups.ask(PROBE_KEYS, (values) => values);
    } catch (error) {
      this.#fail(error);
    }
    // The lookup has reported its outcome, unless no connection was free.
    if (this.#circuit.state === 'trying') this.#fail(new Error('no connection came free in time'));
    return this.#answers > before;
  }
}
