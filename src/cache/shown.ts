/** The cache as callers see it. */
import type * as contract from '../contract/cache.js';
import { toMs } from '../contract/units.js';
import type { TtlRange } from './observed-ttl.js';
import type { CacheView, Cleared } from './result-cache.js';

export function shownCache({ memory, redis }: CacheView): contract.CacheView {
  const { entries, bytes, hits, misses, lifeLeft } = memory;
  return {
    memory: { entries, bytes, hits, misses, ttl_left_s: shownLife(lifeLeft) },
    redis: redis === undefined ? null : shownRedis(redis),
  };
}

function shownRedis(redis: NonNullable<CacheView['redis']>): contract.CacheView['redis'] {
  const { state, reason, keys, hits, misses, failures, unreadable, dropped, lifeLeft } = redis;
  return {
    ...{ state, reason: reason === '' ? null : reason },
    ...{ entries: keys?.entries ?? null, bytes: keys?.bytes ?? null },
    ...{ hits, misses, ttl_left_s: shownLife(lifeLeft), failures, unreadable, dropped },
  };
}

/** In seconds. */
function shownLife(life: TtlRange | undefined) {
  if (life === undefined) return null;
  return { least: toMs(life.leastMs) / 1000, most: toMs(life.mostMs) / 1000 };
}

export function shownCleared({ memory, redis }: Cleared): contract.ClearedCache {
  return { memory: memory ?? null, redis: redis ?? null };
}
