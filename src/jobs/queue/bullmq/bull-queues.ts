import type { Backend } from '../../../store/databases/backend.js';
import { SqlLedger } from '../embedded/sql-ledger.js';
import { LedgerQueue, type QueueOptions } from '../ledger-queue.js';
import { BullDeliveries } from './bull-deliveries.js';
import { JobsRedis } from './jobs-redis.js';
import { postgresRoot, schemaOf } from './postgres-root.js';
import { RedisLedger } from './redis-ledger.js';

/** The queue of a fleet in Redis: jobs and journals beside BullMQ’s queues. */
export function redisQueue(url: string, prefix: string, options: QueueOptions): LedgerQueue {
  const { server, lockMs, onError } = options;
  const redis = new JobsRedis(url, prefix, onError);
  const ledger = new RedisLedger(redis, prefix);
  const connect = redis.bull.bind(redis);
  const deliveries = new BullDeliveries({ connect, server, lockMs });
  return new LedgerQueue('redis', { ledger, deliveries }, options);
}

/**
 * The queue of a fleet in PostgreSQL: jobs and journals in our own tables, BullMQ’s queues in a schema of their own.
 *
 * @throws Error if the prefix cannot be the name of a schema
 */
export function postgresQueue(
  database: Backend,
  url: string,
  prefix: string,
  options: QueueOptions,
): LedgerQueue {
  const { server, lockMs } = options;
  const schema = schemaOf(prefix);
  const deliveries = new BullDeliveries({
    ...{ server, lockMs },
    connect: (settings) => postgresRoot(url, schema, settings),
  });
  return new LedgerQueue('postgres', { ledger: new SqlLedger(database), deliveries }, options);
}
