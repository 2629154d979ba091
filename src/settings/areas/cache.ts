import { choice, integer, memoryAmount, serverAddress, text } from '../setting.js';

/** The settings of the cache: in process and in Redis. */
export const CACHE_SETTINGS = {
  'cache.max_size': memoryAmount({
    default: '1%',
    minBytes: 0,
    about: 'Size of the in-process result cache, in bytes or percent of the load line; 0 is off.',
  }),
  'cache.ttl': integer({
    default: 7200,
    min: 1,
    max: 30 * 86_400,
    unit: 's',
    about: 'Age at which a cached result expires.',
  }),
  'cache.secret': text({
    default: '',
    defaultText: 'random for each start',
    secret: true,
    about: 'Key of the HMAC that cache keys are made with; servers that share a cache share it.',
  }),
  'cache.clear_redis_on_pressure': choice({
    default: 'local',
    words: ['local', 'always', 'never'],
    about:
      'Whether critical pressure removes our keys from Redis; `local`: if it runs on this machine.',
  }),
  'redis.url': serverAddress({
    protocols: ['redis:', 'rediss:', 'unix:'],
    bounds: '`redis://user:password@host:port/number`, `rediss://…` or `unix:///path`',
    defaultText: 'no Redis',
    secret: true,
    about:
      'Redis that keeps results for this server and others: `redis://user:password@host:port`.',
  }),
  'redis.lookup_budget_ms': integer({
    default: 10,
    min: 1,
    max: 10_000,
    unit: 'ms',
    about: 'Longest that a request waits for Redis before it goes on without it.',
  }),
  'redis.retry_ms': integer({
    default: 1000,
    min: 50,
    max: 600_000,
    unit: 'ms',
    about: 'After repeated failures Redis is left alone for this long, then tried again.',
  }),
} as const;
