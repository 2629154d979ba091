import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { sql } from 'kysely';
import { expect, onTestFinished, test } from 'vitest';
import { SqlLedger } from '../../../../src/jobs/queue/embedded/sql-ledger.js';
import { type Entry, readEntry, written } from '../../../../src/jobs/queue/journal/entries.js';
import { LiveJobs } from '../../../../src/jobs/queue/journal/live-jobs.js';
import type { LedgerQueue } from '../../../../src/jobs/queue/ledger-queue.js';
import type { Store } from '../../../../src/store/store.js';
import { ExampleWork, job, resultOf, shard, whenEnded, whenJob } from './example-work.js';
import { openOn, openStore } from './places.js';

const TIME_LIMIT_MS = 60_000;

async function embedded(): Promise<{ readonly store: Store; readonly queue: LedgerQueue }> {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-journal-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const place = { engine: 'sqlite', folder } as const;
  const store = await openStore(place);
  onTestFinished(() => store.close());
  const { queue, close } = await openOn(place, store, 'a');
  onTestFinished(close);
  return { store, queue };
}

const { file, range } = shard(0);
const ENTRIES: readonly Entry[] = [
  { kind: 'began', atMs: 1, model: { id: 'spam', commit: 'abc', dtype: 'q8' } },
  { kind: 'piece', first: 0, parts: [{ file, ranges: [range] }], files: 1, bytes: 10 },
  { kind: 'piece', first: 1, parts: [], files: 1, bytes: 10 },
  { kind: 'planned' },
  { kind: 'done', shard: 0, result: resultOf(shard(0), 'a') },
  { kind: 'failed', shard: 1, reason: 'no', attempts: 3, server: null },
  { kind: 'cancelled', atMs: 2 },
  { kind: 'broken', atMs: 2, reason: 'no', anew: true },
  { kind: 'finished', atMs: 2, manifest: '/results/manifest.json' },
  { kind: 'retried' },
];

test.each(ENTRIES)('an entry of kind $kind is read as it was written', (entry) => {
  expect(readEntry(written(entry))).toEqual(entry);
});

test.each(ENTRIES.filter((entry) => Object.keys(entry).length > 1))(
  'an entry of kind $kind without its fields is none',
  ({ kind }) => {
    expect(readEntry(JSON.stringify({ kind }))).toBeUndefined();
  },
);

test.each(['', 'planned', 'null', '[]', '{"kind":"toString"}', '{"kind":"new","atMs":1}'])(
  'what is no entry is none: %s',
  (text) => {
    expect(readEntry(text)).toBeUndefined();
  },
);

test('a job whose journal cannot be read fails alone, and another one goes on', async () => {
  const { store, queue } = await embedded();
  const ledger = new SqlLedger(store.database);
  const createdAtMs = Date.now();
  await ledger.create({ ...job('spoilt'), createdAtMs });
  await ledger.append({ id: 'spoilt', createdAtMs }, [
    written({ kind: 'began', atMs: 1 }),
    '{"kind":',
  ]);
  queue.work(new ExampleWork('a', 3), 1);
  await queue.add(job('sound'));
  expect(await whenEnded(queue, 'sound')).toMatchObject({ state: 'done' });
  const { state, error } = await whenEnded(queue, 'spoilt');
  expect({ state, error }).toEqual({
    ...{ state: 'failed', error: expect.stringContaining('entry 1 of its journal cannot be read') },
  });
});

test('the sums of many open jobs stay, so that whoever works on one holds the one that is kept', async () => {
  const { store } = await embedded();
  const ledger = new SqlLedger(store.database);
  const jobs = new LiveJobs(ledger, () => undefined);
  const ids = Array.from({ length: 100 }, (_, n) => `j${n}`);
  const records = ids.map((id) => ({ ...job(id), createdAtMs: 1, ended: null }));
  for (const record of records) await ledger.create(record);
  const first = await Promise.all(records.map((record) => jobs.current(record)));
  for (const record of records) await jobs.append(record, [{ kind: 'began', atMs: 5 }]);
  expect(first.map(({ tally }) => tally.startedAtMs)).toEqual(ids.map(() => 5));
});

test(
  'what the engine lost is given out again',
  async () => {
    const { store, queue } = await embedded();
    const work = new ExampleWork('a', 5);
    work.whyNotTake = () => 'not yet';
    queue.work(work, 2);
    await queue.add(job('j1'));
    await whenJob(queue, 'j1', ({ planned }) => planned);
    await store.database.write((database) => sql`delete from job_tasks`.execute(database));
    work.whyNotTake = () => undefined;
    expect(await whenEnded(queue, 'j1')).toMatchObject({ state: 'done', shards: { done: 5 } });
  },
  TIME_LIMIT_MS,
);
