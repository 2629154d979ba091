import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { EmbeddedQueue } from '../../../../src/jobs/queue/embedded/embedded-queue.js';
import { SqlLedger } from '../../../../src/jobs/queue/embedded/sql-ledger.js';
import { SqliteDeliveries } from '../../../../src/jobs/queue/embedded/sqlite-deliveries.js';
import { type LiveJob, LiveJobs } from '../../../../src/jobs/queue/journal/live-jobs.js';
import { Machine } from '../../../../src/jobs/queue/machine/machine.js';
import { Store } from '../../../../src/store/store.js';
import { ExampleWork, job, whenEnded } from './example-work.js';
import { OPTIONS } from './places.js';

test('a job that is opened between the look at the open ones and the look for a step is done', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-machine-'));
  const store = await Store.open(folder);
  const { database } = store;
  const options = { ...OPTIONS, server: 'a', now: Date.now, onError: () => undefined };
  const door = new EmbeddedQueue({ ...options, database, owner: 'a' });
  await door.start();
  const ledger = new SqlLedger(database);
  const jobs = new LiveJobs(ledger, () => undefined);
  const openNow = async (): Promise<readonly LiveJob[]> => {
    const records = await ledger.open();
    return Promise.all(records.map((record) => jobs.current(record)));
  };
  let looks = 0;
  const machine: Machine = new Machine(
    {
      ...{
        ...options,
        jobs,
        deliveries: new SqliteDeliveries({ ...options, database, owner: 'a' }),
      },
      openJobs: async () => {
        looks += 1;
        const found = await openNow();
        if (looks === 1) await door.add(job('late'));
        return found;
      },
      wake: () => machine.wake(),
      closeIfEnded: () => Promise.resolve(),
    },
    new ExampleWork('a', 3),
    1,
  );
  onTestFinished(async () => {
    await machine.stop();
    await door.close();
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  // The machine only looks for steps while a job is open.
  await door.add(job('first'));
  machine.start();
  for (const id of ['first', 'late']) {
    expect(await whenEnded(door, id)).toMatchObject({ state: 'done' });
  }
  expect(looks).toBeLessThan(100);
}, 20_000);
