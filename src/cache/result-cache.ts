import { messageOf, PlimsollError } from '../errors.js';
import type { CircuitState } from './circuit.js';
import type { CachedResult, CacheFigures, MemoryTier } from './memory-tier.js';
import type { KeysFigures } from './redis-keys.js';
import type { RedisFigures, RedisTier } from './redis-tier.js';
import type { StoredResult } from './redis-value.js';

/** Where an answer came from: `false` was computed now. */
export type CacheSource = false | 'memory' | 'redis';

/** A result and where it came from. */
export interface SourcedResult {
  readonly result: CachedResult;
  readonly source: CacheSource;
}

export interface RedisView extends RedisFigures {
  readonly state: CircuitState;
  /** Why it is left alone; empty if it is not. */
  readonly reason: string;
  /** Our keys; undefined if Redis did not tell in time. */
  readonly keys: KeysFigures | undefined;
}

export interface CacheView {
  readonly memory: CacheFigures;
  /** Undefined where there is no Redis. */
  readonly redis: RedisView | undefined;
}

/** What was removed from each tier; undefined where it was not asked for, or is not there. */
export interface Cleared {
  readonly memory: { readonly entries: number; readonly bytes: number } | undefined;
  readonly redis: KeysFigures | undefined;
}

/** Longest that a count of the keys in Redis takes. */
const COUNT_MS = 500;
/** Longest that a removal takes which somebody waits for. */
const CLEAR_MS = 20_000;

/** Both tiers: this process's memory, and Redis if there is one. */
export class ResultCache {
  readonly memory: MemoryTier;
  readonly redis: RedisTier | undefined;

  constructor(memory: MemoryTier, redis: RedisTier | undefined) {
    this.memory = memory;
    this.redis = redis;
  }

  /**
   * What Redis knows of these keys, in their order; shorter, or empty, where nothing is known. To be
   * handed to {@link keep}, one by one.
   *
   * @param labels how many scores a result of this model has.
   * @returns undefined where there is nobody to wait for.
   */
  findInRedis(
    keys: readonly string[],
    labels: number,
  ): Promise<readonly (StoredResult | undefined)[]> | undefined {
    return keys.length === 0 ? undefined : this.redis?.find(keys, labels);
  }

  /**
   * Takes what Redis knows of a key into memory, for what is left of its life: both tiers together keep
   * a result no longer than `cache.ttl`.
   *
   * @returns the result, unless its life is over.
   */
  keep(key: string, stored: StoredResult | undefined): CachedResult | undefined {
    const leftMs = stored === undefined ? 0 : stored.expiresAtMs - Date.now();
    if (stored === undefined || leftMs <= 0) return undefined;
    this.memory.set(key, stored.result, leftMs);
    return stored.result;
  }

  /** What each tier holds and has done. */
  async figures(): Promise<CacheView> {
    const { redis } = this;
    if (redis === undefined) return this.counts;
    const counted =
      redis.state === 'closed' ? await redis.count(COUNT_MS).catch(nothing) : undefined;
    const keys = counted?.complete === true ? counted : undefined;
    const { counts } = this;
    return counts.redis === undefined ? counts : { ...counts, redis: { ...counts.redis, keys } };
  }

  /** The same without asking Redis what it holds. */
  get counts(): CacheView {
    const { memory, redis } = this;
    if (redis === undefined) return { memory: memory.figures, redis: undefined };
    const { state, awayBecause: reason, figures } = redis;
    return { memory: memory.figures, redis: { ...figures, state, reason, keys: undefined } };
  }

  /**
   * Removes what the tiers hold; from Redis what other servers stored there, too.
   *
   * @throws PlimsollError REDIS_UNAVAILABLE; the memory tier is then clear all the same.
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

  /** Keeps a result that was computed now, in both tiers. */
  store(key: string, result: CachedResult): void {
    this.memory.set(key, result);
    this.redis?.store(key, result);
  }
}

function nothing(): undefined {
  return undefined;
}
