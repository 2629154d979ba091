import { RedisTier } from '../cache/redis-tier.js';
import type { Metrics } from '../metrics/metrics.js';
import { type Config, poolLimits } from '../settings/config.js';
import type { NewEvent } from './archive/rows.js';
import type { Logger } from './log.js';

/** The cache's tier in Redis; undefined without `redis.url`. */
export function redisOf(
  {
    config,
    metrics,
    log,
  }: { readonly config: Config; readonly metrics: Metrics; readonly log: Logger },
  secret: string,
  keepEvent: (event: NewEvent) => void,
): RedisTier | undefined {
  const url = config['redis.url'];
  if (url === '') return undefined;
  return new RedisTier({
    url,
    secret,
    limits: poolLimits(config, 'redis'),
    ttlSeconds: config['cache.ttl'],
    lookupBudgetMs: config['redis.lookup_budget_ms'],
    retryMs: config['redis.retry_ms'],
    onState: (reason) => {
      const [back, away] = [
        'Redis answers again: results are shared through it',
        'Redis does not answer: it is left alone, requests go on without',
      ];
      if (reason === undefined) log.info(back);
      else log.warn({ reason }, away);
      const [kind, text] =
        reason === undefined ? ['redis_back', back] : ['redis_away', `${away} (${reason})`];
      keepEvent({ kind, text });
    },
    onRefusal: (reason) => {
      if (reason === undefined) log.info('Redis takes writes again');
      else log.warn({ reason }, 'Redis takes no writes: results are not shared until it does');
    },
    onLookup: (ms) => metrics.redisLookupSeconds.observe(ms / 1000),
  });
}
