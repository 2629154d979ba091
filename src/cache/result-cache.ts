import { messageOf, PlimsollError } from '../errors.js';
import type { CircuitState } from './circuit.js';
import type { CachedResult, CacheFigures, MemoryTier } from './memory-tier.js';
import type { KeysFigures } from './redis-keys.js';
import type { RedisFigures, RedisTier } from './redis-tier.js';
import type { StoredResult } from './redis-value.js';

/** Where a result came from; `false`: computed for this request. */
export type CacheSource = false | 'memory' | 'redis';

/** A result and its source. */
export interface SourcedResult {
  readonly result: CachedResult;
  readonly source: CacheSource;
}

export interface RedisView extends RedisFigures {
  readonly state: CircuitState;
  /** Why Redis is not used; empty while it is. */
  readonly reason: string;
  /** Our keys; undefined if Redis did not answer in time. */
  readonly keys: KeysFigures | undefined;
}

export interface CacheView {
  readonly memory: CacheFigures;
  /** Undefined without Redis. */
  readonly redis: RedisView | undefined;
}

/** What was removed from each tier; undefined for a tier that was not asked for or does not exist. */
export interface Cleared {
  readonly memory: { readonly entries: number; readonly bytes: number } | undefined;
  readonly redis: KeysFigures | undefined;
}

/** Time limit for counting the keys in Redis. */
const COUNT_MS = 500;
/** Time limit for a removal that a caller waits for. */
const CLEAR_MS = 20_000;

/** Both tiers: memory of this process, and Redis where configured. */
export class ResultCache {
  readonly memory: MemoryTier;
  readonly redis: RedisTier | undefined;

  constructor(memory: MemoryTier, redis: RedisTier | undefined) {
    this.memory = memory;
    this.redis = redis;
  }

  /**
   * Looks the keys up in Redis. Pass each result to {@link keep}.
   *
   * @param labels number of scores in a result of this model.
   * @returns results in the order of the keys, shorter or empty where nothing is known; undefined without
   * Redis.
   */
  findInRedis(
    keys: readonly string[],
    labels: number,
  ): Promise<readonly (StoredResult | undefined)[]> | undefined {
    return keys.length === 0 ? undefined : this.redis?.find(keys, labels);
  }

  /**
   * Copies a result from Redis into memory for its remaining lifetime: both tiers together keep a result no
   * longer than `cache.ttl`.
   *
   * @returns the result, unless it has expired.
   */
  keep(key: string, stored: StoredResult | undefined): CachedResult | undefined {
    const leftMs = stored === undefined ? 0 : stored.expiresAtMs - Date.now();
    if (stored === undefined || leftMs <= 0) return undefined;
    this.memory.set(key, stored.result, leftMs);
    return stored.result;
  }

  /** Size and hit counts of both tiers. */
  async figures(): Promise<CacheView> {
    const { redis } = this;
    if (redis === undefined) return this.counts;
    const counted =
      redis.state === 'closed' ? await redis.count(COUNT_MS).catch(nothing) : undefined;
    const keys = counted?.complete === true ? counted : undefined;
    const { counts } = this;
    return counts.redis === undefined ? counts : { ...counts, redis: { ...counts.redis, keys } };
  }

  /** The same without counting the keys in Redis. */
  get counts(): CacheView {
    const { memory, redis } = this;
    if (redis === undefined) return { memory: memory.figures, redis: undefined };
    const { state, awayBecause: reason, figures } = redis;
    return { memory: memory.figures, redis: { ...figures, state, reason, keys: undefined } };
  }

  /**
   * Clears the tiers; in Redis also the results of other servers.
   *
   * @throws PlimsollError REDIS_UNAVAILABLE; the memory tier is cleared all the same.
   */
  async clear(tier: 'memory' | 'redis' | 'both'): Promise<Cleared> {
    const { entries, bytes } = this.memory.figures;
    if (tier !== 'redis') this.memory.clear();
    const memory = tier === 'redis' ? undefined : { entries, bytes };
    if (tier === 'memory' || this.redis === undefined) return { memory, redis: undefined };
    try {
      return { memory, redis: await this.redis.remove(CLEAR_MS) };
    } catch (error) {
      const message = `Redis was not cleared: ${messageOf(error)}`;
      throw new PlimsollError('REDIS_UNAVAILABLE', message, { cause: error, retryAfterSeconds: 1 });
    }
  }

  /** Stores a computed result in both tiers. */
  store(key: string, result: CachedResult): void {
    this.memory.set(key, result);
    this.redis?.store(key, result);
  }
}

function nothing(): undefined {
  return undefined;
}
