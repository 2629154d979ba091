import { FORGOTTEN_AFTER_MS, type Member, type Members } from '../../sessions/fleet/members.js';
import type { ServerTable } from '../../store/server-table.js';
import { withinTime } from '../../system/time-limit.js';

/** Longest wait for the database. */
const ANSWER_MS = 2000;

/** Servers that share a PostgreSQL and no Redis: they see one another, and share no sessions. */
export class PostgresMembers implements Members {
  readonly #table: ServerTable;
  #hasBeaten = false;

  constructor(table: ServerTable) {
    this.#table = table;
  }

  async beat(server: string, told: string): Promise<readonly string[]> {
    const earlier = this.#hasBeaten ? '' : server.slice(0, server.lastIndexOf('.') + 1);
    const put = this.#table.put(server, told, FORGOTTEN_AFTER_MS, earlier);
    await withinTime(put, ANSWER_MS, 'the heartbeat to the database');
    this.#hasBeaten = true;
    return [];
  }

  list(): Promise<readonly Member[]> {
    return withinTime(this.#table.list(), ANSWER_MS, 'the list of servers in the database');
  }

  leave(server: string): Promise<void> {
    return withinTime(this.#table.remove(server), ANSWER_MS, 'leaving the list of servers');
  }
}
