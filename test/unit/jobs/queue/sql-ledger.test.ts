import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { SqlLedger } from '../../../../src/jobs/queue/embedded/sql-ledger.js';
import type { Backend } from '../../../../src/store/databases/backend.js';
import { onEveryDatabase } from '../../store/databases.js';
import { job } from './example-work.js';

/** Removing takes 500 entries a step: three steps. */
const ENTRIES = 1200;
const STEP = 500;
const CREATED_AT_MS = 1;
const ENDED_AT_MS = 2;
const LATER_MS = 3;
const KEY = { id: 'j', createdAtMs: CREATED_AT_MS };

const textsOf = (name: string, count: number) =>
  Array.from({ length: count }, (_, n) => `"${name}${n}"`);

/** A job that has ended, with a long journal. */
async function endedJob(database: Backend): Promise<SqlLedger> {
  const ledger = new SqlLedger(database);
  await ledger.create({ ...job(KEY.id), createdAtMs: CREATED_AT_MS });
  await ledger.append(KEY, textsOf('old', ENTRIES));
  await database.write((on) => sql`update jobs set ended_at_ms = ${ENDED_AT_MS}`.execute(on));
  return ledger;
}

async function countIn(database: Backend, table: 'jobs' | 'job_journal'): Promise<number> {
  const { rows } = await database.read((on) =>
    sql<{ count: number }>`select count(*) as count from ${sql.table(table)}`.execute(on),
  );
  return Number(rows[0]?.count);
}

/** The same database, with something that happens before each write but the first. */
function between(database: Backend, happens: () => Promise<void>): Backend {
  let writes = 0;
  return {
    pools: [],
    read: (work) => database.read(work),
    write: async (work) => {
      writes += 1;
      if (writes > 1) await happens();
      return database.write(work);
    },
    close: () => database.close(),
  };
}

onEveryDatabase('the ledger', (fresh) => {
  test('a job whose removal was cut short is removed whole by the next one', async () => {
    const { database } = await (await fresh()).open();
    const ledger = await endedJob(database);
    const killed = between(database, () => Promise.reject(new Error('killed')));
    await expect(new SqlLedger(killed).remove(KEY.id, LATER_MS)).rejects.toThrow('killed');
    expect(await countIn(database, 'job_journal')).toBe(ENTRIES - STEP);
    expect(await ledger.endedBefore(LATER_MS)).toEqual([KEY.id]);
    await ledger.remove(KEY.id, LATER_MS);
    expect(await ledger.find(KEY.id)).toBeUndefined();
    expect(await countIn(database, 'job_journal')).toBe(0);
  });

  test('servers that remove the same job at once leave nothing of it', async () => {
    const { database } = await (await fresh()).open();
    const ledgers = [await endedJob(database), new SqlLedger(database), new SqlLedger(database)];
    await Promise.all(ledgers.map((ledger) => ledger.remove(KEY.id, LATER_MS)));
    expect(await countIn(database, 'jobs')).toBe(0);
    expect(await countIn(database, 'job_journal')).toBe(0);
  });

  test('a job that is opened again between two steps of its removal stays, with the rest of its journal', async () => {
    const { database } = await (await fresh()).open();
    const ledger = await endedJob(database);
    let opened = false;
    const reopened = between(database, async () => {
      if (!opened) await ledger.reopen(KEY, '"retried"');
      opened = true;
    });
    await new SqlLedger(reopened).remove(KEY.id, LATER_MS);
    expect(await ledger.countOpen()).toBe(1);
    // What is left has no gap: it is the beginning, and the retry behind it.
    const first = textsOf('old', ENTRIES - STEP);
    expect(await ledger.read(KEY.id, 0, ENTRIES)).toEqual([...first, '"retried"']);
  });

  test('a new job begins with an empty journal, whatever an earlier one of its id has left', async () => {
    const { database } = await (await fresh()).open();
    const ledger = await endedJob(database);
    await database.write((on) => sql`delete from jobs`.execute(on));
    await ledger.create({ ...job(KEY.id), createdAtMs: CREATED_AT_MS });
    expect(await countIn(database, 'job_journal')).toBe(0);
    const entries = textsOf('new', STEP + 1);
    await ledger.append(KEY, entries);
    // Asked for at two servers at once: the second one changes nothing.
    await ledger.create({ ...job(KEY.id), createdAtMs: LATER_MS });
    expect(await ledger.read(KEY.id, 0, ENTRIES)).toEqual(entries);
  });
});
