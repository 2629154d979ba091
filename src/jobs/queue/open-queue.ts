import type { Config } from '../../settings/config.js';
import type { Backend } from '../../store/databases/backend.js';
import { EmbeddedQueue } from './embedded/embedded-queue.js';
import type { QueueOptions } from './ledger-queue.js';
import type { JobQueue } from './queue.js';

export interface OpenQueueOptions {
  readonly config: Config;
  readonly database: Backend;
  /** Name under which this server is shown. */
  readonly server: string;
  /** Unique among the servers that use this data folder now, and the same after a restart: the name of the data slot. */
  readonly owner: string;
  readonly onError: (error: unknown) => void;
}

/**
 * The queue that the settings name. Nothing is asked of its engine before `start`.
 *
 * 1. `jobs.url`: BullMQ on that Redis.
 * 2. `database.url`: BullMQ on that PostgreSQL.
 * 3. Neither: the server's own SQLite file.
 */
export async function openQueue(options: OpenQueueOptions): Promise<JobQueue> {
  const { config, database, server, owner, onError } = options;
  const common: QueueOptions = {
    ...{ server, onError },
    maxOpen: config['jobs.max_open'],
    attempts: config['jobs.attempts'],
    backoffMs: config['jobs.backoff_ms'],
    lockMs: config['jobs.lock_ms'],
    keepDays: config['jobs.keep_days'],
  };
  const redis = config['jobs.url'];
  const postgres = config['database.url'];
  const prefix = config['jobs.prefix'];
  if (redis === '' && postgres === '') return new EmbeddedQueue({ ...common, database, owner }); // 3
  // Here and not above: a server without a fleet does not pay for BullMQ.
  const { redisQueue, postgresQueue } = await import('./bullmq/bull-queues.js');
  return redis === ''
    ? postgresQueue(database, postgres, prefix, common) // 2
    : redisQueue(redis, prefix, common); // 1
}
