import {
  choice,
  closed,
  flag,
  integer,
  nullable,
  number,
  object,
  optional,
  type Static,
  text,
} from './schema/schema.js';

const lifeLeft = nullable(object({ least: number(), most: number() }), {
  description:
    'Seconds that the results had left to live when they were served; null before the first.',
});

const memoryTierSchema = object({
  entries: integer(),
  bytes: integer(),
  hits: integer(),
  misses: integer(),
  ttl_left_s: lifeLeft,
});

const redisTierSchema = object({
  state: choice(
    ['closed', 'open', 'trying'],
    'The circuit breaker: closed: in use; open: left alone; trying: one attempt is out.',
  ),
  reason: nullable(text('Why Redis is left alone.')),
  entries: nullable(integer('Of all servers; null if Redis did not tell in time.')),
  bytes: nullable(integer('Mean size of a sample of the entries × their number.')),
  hits: integer(),
  misses: integer(),
  ttl_left_s: lifeLeft,
  failures: integer('Requests that went on without an answer of Redis.'),
  unreadable: integer('Values that could not be read, and were removed.'),
  dropped: integer('Results that were not written.'),
});

export const cacheSchema = object({
  memory: memoryTierSchema,
  redis: nullable(redisTierSchema, 'null: this server has no Redis.'),
});
export type CacheView = Static<typeof cacheSchema>;

export const clearCacheQuerySchema = closed({ tier: optional(choice(['memory', 'redis'])) });

export const clearedSchema = object({
  memory: nullable(object({ entries: integer(), bytes: integer() }), 'null: it was not asked for.'),
  redis: nullable(
    object({
      entries: integer(),
      bytes: integer('What Redis’s memory fell by; others use it too.'),
      complete: flag('Whether every key was reached in time.'),
    }),
    'null: it was not asked for, or there is no Redis.',
  ),
});
export type ClearedCache = Static<typeof clearedSchema>;
