/** Why a job of which nothing runs waits, as callers are told. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { progressLine } from '../../../src/commands/bulk/job-display.js';
import { RunningRows } from '../../../src/jobs/progress.js';
import { JobService } from '../../../src/jobs/service.js';
import { ExampleWork, job, whenEnded, whenJob } from './queue/example-work.js';
import { openOn, openStore } from './queue/places.js';
import { localPlaces } from './reading.js';

async function opened(works: boolean) {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-waiting-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const place = { engine: 'sqlite', folder } as const;
  const store = await openStore(place);
  onTestFinished(() => store.close());
  const { queue, close } = await openOn(place, store, 'a');
  onTestFinished(close);
  const never = () => Promise.reject(new Error('no model is asked'));
  const service = new JobService({
    ...{ queue, works, progress: new RunningRows(() => undefined) },
    places: async () => localPlaces(),
    models: { whyNot: () => undefined, about: never, answers: never },
    modelOf: (name) => name ?? 'spam',
  });
  return { queue, service };
}

test('a server that works says why it takes nothing, until it does', async () => {
  const { queue, service } = await opened(true);
  const work = new ExampleWork('a', 2);
  work.whyNotTake = () => 'a server that has the model spam';
  queue.work(work, 1);
  await queue.add(job('j1'));
  await whenJob(queue, 'j1', ({ planned }) => planned);
  await expect
    .poll(async () => (await service.show('j1')).waiting_for, { timeout: 10_000 })
    .toBe('a server that has the model spam');
  expect(progressLine(await service.show('j1'))).toContain('waits: a server that has the model');
  work.whyNotTake = () => undefined;
  await whenEnded(queue, 'j1');
  expect((await service.show('j1')).waiting_for).toBeNull();
});

test('a server that only answers says so', async () => {
  const { queue, service } = await opened(false);
  await queue.add(job('j1'));
  expect((await service.show('j1')).waiting_for).toMatch(/a server that works on jobs/);
  await queue.cancel('j1');
  expect((await service.show('j1')).waiting_for).toBeNull();
});
