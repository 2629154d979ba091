import type { Backend, Work } from './databases/backend.js';
import { storableText } from './rows.js';
import type { Schema } from './schema.js';

export interface ReceiptFilter {
  readonly kind?: string | undefined;
  readonly session?: string | undefined;
  /** Milliseconds since 1970. */
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  readonly limit: number;
}

export interface RecordFilter {
  readonly session?: string | undefined;
  readonly userHash?: string | undefined;
  readonly model?: string | undefined;
  readonly label?: string | undefined;
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  readonly limit: number;
}

/** One minute of memory; sizes in bytes. */
export type StoredReading = Schema['readings'];
/** One classification. */
export type StoredRecord = Schema['records'];
/** One event. */
export type StoredEvent = Schema['events'];

/** A session that is open in the database. */
export interface OpenSession {
  readonly id: string;
  readonly revision: number;
  readonly body: unknown;
}

/** Look-ups and lists. Any text may be asked for: one that no row can hold finds nothing. */
export class StoreReader {
  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  async findSession(id: string): Promise<unknown> {
    const row = await this.#ask((database) =>
      database
        .selectFrom('sessions')
        .select('body')
        .where('id', '=', storableText(id))
        .executeTakeFirst(),
    );
    return row === undefined ? undefined : JSON.parse(row.body);
  }

  /** The newest sessions, newest first. */
  async listSessions(limit: number): Promise<readonly unknown[]> {
    const rows = await this.#ask((database) =>
      database
        .selectFrom('sessions')
        .select('body')
        .orderBy('opened_at_ms', 'desc')
        .orderBy('id', 'desc')
        .limit(limit)
        .execute(),
    );
    return rows.map((row): unknown => JSON.parse(row.body));
  }

  /**
   * Open sessions whose server is gone: sessions of the named servers, of servers without a sign of life since
   * that time, and of no server.
   */
  async findAbandoned(
    servers: readonly string[],
    lastSeenBeforeMs: number,
    limit: number,
  ): Promise<readonly OpenSession[]> {
    const rows = await this.#ask((database) =>
      database
        .selectFrom('sessions')
        .leftJoin('servers', 'servers.id', 'sessions.server')
        .select(['sessions.id as id', 'sessions.revision as revision', 'sessions.body as body'])
        .where('sessions.state', 'in', ['open', 'ending'])
        .where((of) =>
          of.or([
            of('sessions.server', 'in', ['', ...servers]),
            // Sessions from before servers had names, and of servers deleted for their age.
            of('servers.id', 'is', null),
            of('servers.seen_at_ms', '<', lastSeenBeforeMs),
          ]),
        )
        .orderBy('sessions.opened_at_ms')
        .limit(limit)
        .execute(),
    );
    return rows.map(({ body, ...same }) => ({ ...same, body: JSON.parse(body) as unknown }));
  }

  /** Users of a session as hashes, in the order of their first request. */
  async listUsers(session: string): Promise<readonly Schema['session_users'][]> {
    return this.#ask((database) =>
      database
        .selectFrom('session_users')
        .selectAll()
        .where('session', '=', storableText(session))
        .orderBy('at_ms')
        .orderBy('id')
        .execute(),
    );
  }

  /** Receipts, newest first. */
  async listReceipts(asked: ReceiptFilter): Promise<readonly unknown[]> {
    const filter = storable(asked);
    const rows = await this.#ask((database) => {
      let query = database.selectFrom('receipts').select('body');
      if (filter.kind !== undefined) query = query.where('kind', '=', filter.kind);
      if (filter.session !== undefined) query = query.where('session', '=', filter.session);
      if (filter.sinceMs !== undefined) query = query.where('started_at_ms', '>=', filter.sinceMs);
      if (filter.untilMs !== undefined) query = query.where('started_at_ms', '<', filter.untilMs);
      return query
        .orderBy('started_at_ms', 'desc')
        .orderBy('id', 'desc')
        .limit(filter.limit)
        .execute();
    });
    return rows.map((row): unknown => JSON.parse(row.body));
  }

  /** Classifications, newest first. */
  async listRecords(asked: RecordFilter): Promise<readonly StoredRecord[]> {
    const filter = storable(asked);
    return this.#ask((database) => {
      let query = database.selectFrom('records').selectAll();
      if (filter.session !== undefined) query = query.where('session', '=', filter.session);
      if (filter.userHash !== undefined) query = query.where('user_hash', '=', filter.userHash);
      if (filter.model !== undefined) query = query.where('model', '=', filter.model);
      if (filter.label !== undefined) query = query.where('label', '=', filter.label);
      if (filter.sinceMs !== undefined) query = query.where('at_ms', '>=', filter.sinceMs);
      if (filter.untilMs !== undefined) query = query.where('at_ms', '<', filter.untilMs);
      return query.orderBy('at_ms', 'desc').orderBy('id', 'desc').limit(filter.limit).execute();
    });
  }

  /** Events, newest first. */
  async listEvents(asked: ReceiptFilter): Promise<readonly StoredEvent[]> {
    const filter = storable(asked);
    return this.#ask((database) => {
      let query = database.selectFrom('events').selectAll();
      if (filter.kind !== undefined) query = query.where('kind', '=', filter.kind);
      if (filter.session !== undefined) query = query.where('session', '=', filter.session);
      if (filter.sinceMs !== undefined) query = query.where('at_ms', '>=', filter.sinceMs);
      if (filter.untilMs !== undefined) query = query.where('at_ms', '<', filter.untilMs);
      return query.orderBy('at_ms', 'desc').orderBy('id', 'desc').limit(filter.limit).execute();
    });
  }

  /** Minutes of one server since a time, oldest first; also those from before servers had names. */
  async listReadings(
    server: string,
    sinceMs: number,
    limit: number,
  ): Promise<readonly StoredReading[]> {
    return this.#ask((database) =>
      database
        .selectFrom('readings')
        .selectAll()
        .where('server', 'in', [server, ''])
        .where('at_ms', '>=', sinceMs)
        .orderBy('at_ms')
        .limit(limit)
        .execute(),
    );
  }

  #ask<T>(work: Work<T>): Promise<T> {
    return this.#backend.read(work);
  }
}

/** The filter with its texts as rows hold them: PostgreSQL rejects a NUL even in a comparison. */
function storable<F extends object>(filter: F): F {
  const fields = Object.entries(filter).map(([name, value]) => [
    name,
    typeof value === 'string' ? storableText(value) : value,
  ]);
  return Object.fromEntries(fields) as F;
}
