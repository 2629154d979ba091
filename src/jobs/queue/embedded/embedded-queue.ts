import type { Backend } from '../../../store/databases/backend.js';
import { LedgerQueue, type QueueOptions } from '../ledger-queue.js';
import { SqlLedger } from './sql-ledger.js';
import { SqliteDeliveries } from './sqlite-deliveries.js';

export interface EmbeddedOptions extends QueueOptions {
  /** The server's SQLite file. */
  readonly database: Backend;
  /** Unique among the servers that use this file now, and the same after a restart: the name of the data slot. */
  readonly owner: string;
}

/** The queue of one machine: jobs, journals and tasks in the server's own SQLite file. */
export class EmbeddedQueue extends LedgerQueue {
  constructor({ database, owner, ...options }: EmbeddedOptions) {
    const { server, lockMs, now = Date.now } = options;
    const ledger = new SqlLedger(database);
    const deliveries = new SqliteDeliveries({ database, server, owner, lockMs, now });
    super('sqlite', { ledger, deliveries }, options);
  }
}
