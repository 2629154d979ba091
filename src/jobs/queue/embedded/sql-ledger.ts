import { type Kysely, sql } from 'kysely';
import type { Backend, Work } from '../../../store/databases/backend.js';
import { writeWhenFree } from '../../../store/databases/when-free.js';
import { storableText } from '../../../store/rows.js';
import type { JobSchema, Schema } from '../../../store/schema.js';
import { JobForgotten, type JobKey, type JobRecord, type Ledger } from '../engines/ledger.js';
import { storedJob } from '../engines/stored-job.js';
import type { JobState } from '../queue.js';

/** Jobs that are forgotten, and entries that are deleted, at once: SQLite runs in this process. */
const FORGOTTEN_JOBS = 20;
const DELETED_ENTRIES = 500;

type Tables = Kysely<Schema & JobSchema>;

/** Jobs and journals in the server's own database: SQLite or PostgreSQL. */
export class SqlLedger implements Ledger {
  readonly #database: Backend;

  constructor(database: Backend) {
    this.#database = database;
  }

  async start(): Promise<void> {}

  /** A journal that an earlier job of this id may have left goes first: its entries would count for the new one. */
  async create({ id, request, createdAtMs }: Omit<JobRecord, 'ended'>): Promise<void> {
    await this.#write(async (tables) => {
      const created = await tables
        .insertInto('jobs')
        .values({
          ...{ id: storableText(id), request: storableText(JSON.stringify(request)) },
          ...{ created_at_ms: createdAtMs, entries: 0, ended_at_ms: null, ended: null },
        })
        .onConflict((conflict) => conflict.column('id').doNothing())
        .returning('id')
        .executeTakeFirst();
      if (created === undefined) return;
      await tables.deleteFrom('job_journal').where('job', '=', id).execute();
    });
  }

  async find(id: string): Promise<JobRecord | undefined> {
    const row = await this.#read((tables) =>
      tables.selectFrom('jobs').selectAll().where('id', '=', storableText(id)).executeTakeFirst(),
    );
    return row === undefined ? undefined : recordOf(row);
  }

  async list(from: number, limit: number): Promise<readonly JobRecord[]> {
    const rows = await this.#read((tables) =>
      tables
        .selectFrom('jobs')
        .selectAll()
        .orderBy('created_at_ms', 'desc')
        .orderBy('id')
        .limit(limit)
        .offset(from)
        .execute(),
    );
    return recordsOf(rows);
  }

  async open(): Promise<readonly JobRecord[]> {
    const rows = await this.#read((tables) =>
      tables
        .selectFrom('jobs')
        .selectAll()
        .where('ended_at_ms', 'is', null)
        .orderBy('created_at_ms')
        .orderBy('id')
        .execute(),
    );
    return recordsOf(rows);
  }

  async countOpen(): Promise<number> {
    const row = await this.#read((tables) =>
      tables
        .selectFrom('jobs')
        .select(({ fn }) => fn.countAll().as('count'))
        .where('ended_at_ms', 'is', null)
        .executeTakeFirst(),
    );
    return Number(row?.count ?? 0);
  }

  async append(job: JobKey, entries: readonly string[]): Promise<void> {
    await this.#write((tables) => append(tables, job, entries));
  }

  async read(id: string, from: number, limit: number): Promise<readonly string[]> {
    const rows = await this.#read((tables) =>
      tables
        .selectFrom('job_journal')
        .select('entry')
        .where('job', '=', id)
        .where('place', '>=', from)
        .orderBy('place')
        .limit(limit)
        .execute(),
    );
    return rows.map(({ entry }) => entry);
  }

  async close(state: JobState, entries: number): Promise<boolean> {
    const { numUpdatedRows } = await this.#write((tables) =>
      tables
        .updateTable('jobs')
        .set({ ended: storableText(JSON.stringify(state)), ended_at_ms: state.endedAtMs })
        .where('id', '=', state.id)
        .where('created_at_ms', '=', state.createdAtMs)
        .where('entries', '=', entries)
        .where('ended_at_ms', 'is', null)
        .executeTakeFirst(),
    );
    return numUpdatedRows === 1n;
  }

  async reopen(job: JobKey, entry: string): Promise<void> {
    await this.#write(async (tables) => {
      await append(tables, job, [entry]);
      await tables
        .updateTable('jobs')
        .set({ ended: null, ended_at_ms: null })
        .where('id', '=', job.id)
        .execute();
    });
  }

  /** In one transaction: nobody sees a new job with the old journal. */
  async restart({ id, createdAtMs: before }: JobKey, createdAtMs: number): Promise<boolean> {
    return this.#write(async (tables) => {
      const { numUpdatedRows } = await tables
        .updateTable('jobs')
        .set({ created_at_ms: createdAtMs, entries: 0, ended: null, ended_at_ms: null })
        .where('id', '=', id)
        .where('created_at_ms', '=', before)
        .where('ended_at_ms', 'is not', null)
        .executeTakeFirst();
      if (numUpdatedRows !== 1n) return false;
      await tables.deleteFrom('job_journal').where('job', '=', id).execute();
      return true;
    });
  }

  async endedBefore(timeMs: number): Promise<readonly string[]> {
    const rows = await this.#read((tables) =>
      tables
        .selectFrom('jobs')
        .select('id')
        .where('ended_at_ms', '<', timeMs)
        .orderBy('ended_at_ms')
        .limit(FORGOTTEN_JOBS)
        .execute(),
    );
    return rows.map(({ id }) => id);
  }

  async remove(id: string, beforeMs: number): Promise<void> {
    let isGone = false;
    while (!isGone) isGone = await this.#write((tables) => removeSome(tables, id, beforeMs));
  }

  async stop(): Promise<void> {}

  #read<T>(work: (tables: Tables) => Promise<T>): Promise<T> {
    return this.#database.read(onJobs(work));
  }

  #write<T>(work: (tables: Tables) => Promise<T>): Promise<T> {
    return writeWhenFree(this.#database, onJobs(work));
  }
}

function onJobs<T>(work: (tables: Tables) => Promise<T>): Work<T> {
  return (database) => work(database.withTables<JobSchema>());
}

/** The job's row is changed first, which makes appending servers wait for one another: places have no gap. */
async function append(tables: Tables, job: JobKey, entries: readonly string[]): Promise<void> {
  const { id, createdAtMs } = job;
  const count = entries.length;
  const row = await tables
    .updateTable('jobs')
    .set(({ eb }) => ({ entries: eb('entries', '+', count) }))
    .where('id', '=', id)
    .where('created_at_ms', '=', createdAtMs)
    .returning('entries')
    .executeTakeFirst();
  if (row === undefined) throw new JobForgotten(job);
  const first = row.entries - count;
  for (const [at, entry] of entries.entries()) {
    await sql`insert into job_journal (job, place, entry)
      values (${id}, ${first + at}, ${storableText(entry)})`.execute(tables);
  }
}

/**
 * Deletes the last entries of a job that ended before that time, and the job with the first of them: whoever is killed on the way
 * leaves a job with a shorter journal, and its removal goes on later. So does whoever opens it again on the way: what the entries
 * told that are gone is done anew.
 *
 * @returns whether nothing is left to do: it is gone, or it was opened again
 */
async function removeSome(tables: Tables, id: string, beforeMs: number): Promise<boolean> {
  // First, which holds its lock: whoever opens it again, or removes it too, waits for this step.
  const left = await tables
    .updateTable('jobs')
    .set({
      entries: sql<number>`case when entries > ${DELETED_ENTRIES} then entries - ${DELETED_ENTRIES} else 0 end`,
    })
    .where('id', '=', id)
    .where('ended_at_ms', '<', beforeMs)
    .returning('entries')
    .executeTakeFirst();
  if (left === undefined) return true;
  await tables
    .deleteFrom('job_journal')
    .where('job', '=', id)
    .where('place', '>=', left.entries)
    .execute();
  if (left.entries > 0) return false;
  await tables.deleteFrom('jobs').where('id', '=', id).execute();
  return true;
}

function recordOf(row: JobSchema['jobs']): JobRecord | undefined {
  const { id, request, created_at_ms: createdAtMs, ended } = row;
  return storedJob({ id, request, createdAtMs, ended });
}

function recordsOf(rows: readonly JobSchema['jobs'][]): readonly JobRecord[] {
  return rows.map(recordOf).filter((record) => record !== undefined);
}
