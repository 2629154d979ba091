/** How long open jobs will take, from their journals alone: nobody looks at them here. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { RunningRows } from '../../../src/jobs/progress.js';
import type { JobQueue } from '../../../src/jobs/queue/queue.js';
import { JobService } from '../../../src/jobs/service.js';
import {
  ExampleWork,
  Gate,
  job,
  SHARD_ROWS,
  until,
  whenEnded,
  whenJob,
} from './queue/example-work.js';
import { openOn, openStore } from './queue/places.js';

const MINUTE_MS = 60_000;
const SHARDS = 20;

/** A server that only answers: its jobs are done by others. */
function door(queue: JobQueue, now: () => number): JobService {
  const none = () => Promise.reject(new Error('no job is submitted here'));
  const models = { mayRun: () => false, whyNot: () => undefined, about: none, answers: none };
  const progress = new RunningRows(() => undefined);
  const service = new JobService({
    ...{ queue, models, progress, now },
    ...{ places: none, modelOf: none, works: true },
  });
  onTestFinished(() => service.close());
  return service;
}

/** Work of which the test lets one shard after another be done. */
function gated(server: string) {
  const work = new ExampleWork(server, SHARDS);
  const waiting: Gate[] = [];
  const { run } = work;
  let onRun = new Gate();
  work.run = async (state, of, signal) => {
    const gate = new Gate();
    waiting.push(gate);
    onRun.open();
    await until(gate, signal);
    return run(state, of, signal);
  };
  const release = async () => {
    while (waiting.length === 0) await onRun.opened;
    onRun = new Gate();
    waiting.shift()?.open();
  };
  return { work, release };
}

test('the backlog is what is left over the pace that the journals show; without a pace it is assumed', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-backlog-'));
  const place = { engine: 'sqlite', folder } as const;
  const store = await openStore(place);
  onTestFinished(async () => {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const open = async (name: string) => {
    const { queue, close } = await openOn(place, store, name, { now, lockMs: 1e9 });
    onTestFinished(close);
    return queue;
  };
  let nowMs = 1_000_000;
  const now = () => nowMs;
  const [queue, answering] = [await open('worker'), await open('door')];
  const service = door(answering, now);
  expect(await service.backlogSeconds()).toBe(0);
  const shards = eventsOf(answering);
  const { work, release } = gated('worker');
  await queue.add(job('long', { shard_rows: SHARD_ROWS }));
  queue.work(work, 2);
  await whenJob(answering, 'long', ({ planned }) => planned);
  expect(await service.backlogSeconds()).toBeGreaterThan(0);
  const done = async (count: number, eachMs: number) => {
    for (let n = 0; n < count; n += 1) {
      nowMs += eachMs;
      await release();
      await shards.next('shard');
    }
  };
  // 100 rows in 20 s: 5 rows/s, not the 100 that are assumed.
  await done(4, 20_000);
  expect(await service.backlogSeconds()).toBeCloseTo((16 * SHARD_ROWS) / 5, 0);
  // Another machine helps: four times as fast.
  await done(13, 5000);
  expect(await service.backlogSeconds()).toBeCloseTo((3 * SHARD_ROWS) / 20, 0);
  // Nothing is done any more.
  nowMs += 60 * MINUTE_MS;
  expect(await service.backlogSeconds()).toBeGreaterThan((10 * MINUTE_MS) / 1000);
  await done(3, 1);
  await whenEnded(queue, 'long');
  expect(await service.backlogSeconds()).toBe(0);
  // The pace of what has ended is not that of the next one, which waits.
  await queue.stopWork();
  await queue.add(job('next', { shard_rows: SHARD_ROWS, output: '/others' }));
  expect(await service.backlogSeconds()).toBe(1);
});

/** Waits for what happens to jobs, each event once. */
function eventsOf(queue: JobQueue) {
  const told: string[] = [];
  let news = new Gate();
  const stop = queue.onEvent(({ kind }) => {
    told.push(kind);
    news.open();
  });
  onTestFinished(stop);
  return {
    next: async (kind: string) => {
      while (!told.includes(kind)) {
        await news.opened;
        news = new Gate();
      }
      told.splice(told.indexOf(kind), 1);
    },
  };
}
