import { type Kysely, sql } from 'kysely';
import type { Backend } from '../../../store/databases/backend.js';
import { writeWhenFree } from '../../../store/databases/when-free.js';
import { storableText } from '../../../store/rows.js';
import type { TaskSchema } from '../../../store/schema.js';
import type { Deliveries, Delivery, Task, TaskState } from '../engines/deliveries.js';

export interface SqliteDeliveriesOptions {
  readonly database: Backend;
  /** Name under which this server is shown. */
  readonly server: string;
  /** Unique among the servers that use this file now, and the same after a restart: the name of the data slot. */
  readonly owner: string;
  readonly lockMs: number;
  readonly now: () => number;
}

type Tables = Kysely<TaskSchema>;
type Row = TaskSchema['job_tasks'];

/** Where planning and manifests of all jobs stand in line. */
const STEPS = '';
const LOST = 'the machine that ran it was lost';
const DROPPED_AT_ONCE = 500;

/** Tasks in the server's SQLite file. Several servers on one machine may share it. */
export class SqliteDeliveries implements Deliveries {
  readonly #options: SqliteDeliveriesOptions;

  constructor(options: SqliteDeliveriesOptions) {
    this.#options = options;
  }

  /** What this server had when it was killed waits again at once: its slot was locked, so nobody else has it. */
  async start(): Promise<void> {
    const { owner } = this.#options;
    await this.#write((tables) =>
      giveBack(tables).where('state', '=', 'running').where('owner', '=', owner).execute(),
    );
  }

  async offer(tasks: readonly Task[]): Promise<void> {
    await this.#write(async (tables) => {
      for (const { job, kind, shard } of tasks) {
        const lane = kind === 'shard' ? job : STEPS;
        await tables
          .insertInto('job_tasks')
          .values({
            ...{ lane, job, kind, shard, state: 'waiting', due_at_ms: 0, failed_attempts: 0 },
            ...{ reason: null, server: null, owner: null, lock_until_ms: null, lost_machines: 0 },
          })
          .onConflict((conflict) => conflict.columns(['job', 'kind', 'shard']).doNothing())
          .execute();
      }
    });
  }

  takeStep(): Promise<Delivery | undefined> {
    return this.#take(STEPS);
  }

  takeShard(job: string): Promise<Delivery | undefined> {
    return this.#take(job);
  }

  async renew(held: readonly Delivery[]): Promise<readonly Delivery[]> {
    const untilMs = this.#options.now() + this.#options.lockMs;
    return this.#write(async (tables) => {
      const lost: Delivery[] = [];
      for (const delivery of held) {
        const { numUpdatedRows } = await this.#own(tables, delivery, { lock_until_ms: untilMs });
        if (numUpdatedRows === 0n) lost.push(delivery);
      }
      return lost;
    });
  }

  async settle({ task }: Delivery): Promise<void> {
    await this.#write((tables) =>
      tables
        .deleteFrom('job_tasks')
        .where('job', '=', task.job)
        .where('kind', '=', task.kind)
        .where('shard', '=', task.shard)
        .execute(),
    );
  }

  async failed(delivery: Delivery, reason: string, pauseMs: number): Promise<void> {
    await this.#write((tables) =>
      this.#own(tables, delivery, {
        ...{ state: 'waiting', owner: null, lock_until_ms: null, reason: storableText(reason) },
        due_at_ms: this.#options.now() + pauseMs,
        failed_attempts: delivery.failedAttempts + 1,
      }),
    );
  }

  async putBack(delivery: Delivery, pauseMs = 0): Promise<void> {
    await this.#write((tables) =>
      this.#own(tables, delivery, {
        ...{ state: 'waiting', owner: null, server: null, lock_until_ms: null },
        due_at_ms: pauseMs === 0 ? 0 : this.#options.now() + pauseMs,
      }),
    );
  }

  async recover(jobs: readonly string[]): Promise<void> {
    const now = this.#options.now();
    const lanes = [STEPS, ...jobs];
    const isLost = await this.#read((tables) =>
      tables
        .selectFrom('job_tasks')
        .select('job')
        .where('lane', 'in', lanes)
        .where('state', '=', 'running')
        .where('lock_until_ms', '<', now)
        .executeTakeFirst(),
    );
    if (isLost === undefined) return;
    await this.#write((tables) =>
      giveBack(tables)
        .where('lane', 'in', lanes)
        .where('state', '=', 'running')
        .where('lock_until_ms', '<', now)
        .execute(),
    );
  }

  async running(job: string): Promise<number> {
    return (await this.runningShards(job)).length;
  }

  async runningShards(job: string): Promise<readonly number[]> {
    const rows = await this.#read((tables) =>
      tables
        .selectFrom('job_tasks')
        .select('shard')
        .where('lane', '=', job)
        .where('state', '=', 'running')
        .execute(),
    );
    return rows.map(({ shard }) => shard);
  }

  async look(job: string, shards: readonly number[]): Promise<ReadonlyMap<number, TaskState>> {
    const found = new Map<number, TaskState>();
    for (const shard of shards) {
      const row = await this.#read((tables) =>
        tables
          .selectFrom('job_tasks')
          .selectAll()
          .where('job', '=', job)
          .where('kind', '=', 'shard')
          .where('shard', '=', shard)
          .executeTakeFirst(),
      );
      if (row === undefined) continue;
      const { state, reason, server } = row;
      const failedAttempts = row.failed_attempts + row.lost_machines;
      found.set(shard, { state, failedAttempts, reason, server });
    }
    return found;
  }

  async drop(job: string): Promise<void> {
    for (;;) {
      const query = sql`delete from job_tasks where (job, kind, shard) in
        (select job, kind, shard from job_tasks where job = ${job} limit ${DROPPED_AT_ONCE})`;
      const { numAffectedRows } = await this.#write((tables) => query.execute(tables));
      if (Number(numAffectedRows ?? 0) < DROPPED_AT_ONCE) return;
    }
  }

  async stop(): Promise<void> {}

  /** One statement: another server cannot take the same task between two. */
  async #take(lane: string): Promise<Delivery | undefined> {
    const { owner, server, lockMs, now } = this.#options;
    const nowMs = now();
    const next = sql`select job, kind, shard from job_tasks
      where lane = ${lane} and state = 'waiting' and due_at_ms <= ${nowMs}
      order by due_at_ms, shard limit 1`;
    // An engine without work would write all the time.
    const { rows: waiting } = await this.#read((tables) => next.execute(tables));
    if (waiting.length === 0) return undefined;
    const query = sql<Row>`update job_tasks
      set state = 'running', owner = ${owner}, server = ${server}, lock_until_ms = ${nowMs + lockMs}
      where (job, kind, shard) = (${next}) returning *`;
    const { rows } = await this.#write((tables) => query.execute(tables));
    const [row] = rows;
    if (row === undefined) return undefined;
    const { job, kind, shard, reason } = row;
    const { failed_attempts: failedAttempts, lost_machines: lostMachines } = row;
    return { task: { job, kind, shard }, failedAttempts, lostMachines, reason };
  }

  /** Changes a task that is still this server's. */
  #own(tables: Tables, { task }: Delivery, changes: Partial<Row>) {
    return tables
      .updateTable('job_tasks')
      .set(changes)
      .where('job', '=', task.job)
      .where('kind', '=', task.kind)
      .where('shard', '=', task.shard)
      .where('state', '=', 'running')
      .where('owner', '=', this.#options.owner)
      .executeTakeFirst();
  }

  #read<T>(work: (tables: Tables) => Promise<T>): Promise<T> {
    return this.#options.database.read((database) => work(onTasks(database)));
  }

  #write<T>(work: (tables: Tables) => Promise<T>): Promise<T> {
    return writeWhenFree(this.#options.database, (database) => work(onTasks(database)));
  }
}

function onTasks(database: unknown): Tables {
  return database as Tables;
}

/** Counted apart from failed attempts: the machine may have been killed, or the shard may end machines. */
function giveBack(tables: Tables) {
  return tables.updateTable('job_tasks').set(({ eb }) => ({
    ...{ state: 'waiting' as const, owner: null, lock_until_ms: null, reason: LOST },
    lost_machines: eb('lost_machines', '+', 1),
  }));
}
