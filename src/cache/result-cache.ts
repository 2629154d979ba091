import type { CachedResult, MemoryTier } from './memory-tier.js';
import type { RedisTier } from './redis-tier.js';

/** Where an answer came from: `false` was computed now. */
export type CacheSource = false | 'memory' | 'redis';

/** A result and where it came from. */
export interface SourcedResult {
  readonly result: CachedResult;
  readonly source: CacheSource;
}

/** Both tiers: this process's memory, and Redis if there is one. */
export class ResultCache {
  readonly memory: MemoryTier;
  readonly redis: RedisTier | undefined;

  constructor(memory: MemoryTier, redis: RedisTier | undefined) {
    this.memory = memory;
    this.redis = redis;
  }

  /**
   * What Redis knows of these keys, in their order; it is in memory from now on, for what is left
   * of its life: both tiers together keep a result no longer than `cache.ttl`. Shorter, or empty,
   * where nothing is known.
   *
   * @param labels how many scores a result of this model has.
   */
  async findInRedis(
    keys: readonly string[],
    labels: number,
  ): Promise<readonly (CachedResult | undefined)[]> {
    if (this.redis === undefined) return [];
    const found = await this.redis.find(keys, labels);
    const now = Date.now();
    return keys.map((key, index) => {
      const stored = found[index];
      if (stored === undefined || stored.expiresAtMs <= now) return undefined;
      this.memory.set(key, stored.result, stored.expiresAtMs - now);
      return stored.result;
    });
  }

  /** Keeps a result that was computed now, in both tiers. */
  store(key: string, result: CachedResult): void {
    this.memory.set(key, result);
    this.redis?.store(key, result);
  }
}
