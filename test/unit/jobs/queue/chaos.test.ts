import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { BullRoot } from '../../../../src/jobs/queue/bullmq/bull-deliveries.js';
import { JobsRedis } from '../../../../src/jobs/queue/bullmq/jobs-redis.js';
import { postgresRoot, schemaOf } from '../../../../src/jobs/queue/bullmq/postgres-root.js';
import { onEveryEngine, onEveryServer } from './engines.js';
import {
  ExampleWork,
  Gate,
  job,
  pieces,
  SHARD_ROWS,
  until,
  whenEnded,
  whenJob,
} from './example-work.js';
import { openAt, type Place } from './places.js';
import type { MachineOrder } from './stuck-machine.js';

const TIME_LIMIT_MS = 120_000;

/** A server in a process of its own, that gets stuck. @returns it, stuck */
async function stuckMachine(order: MachineOrder): Promise<ChildProcess> {
  const child = fork(new URL('machine.mjs', import.meta.url), [JSON.stringify(order)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [said] = await Promise.race([once(child, 'message'), once(child, 'exit')]);
  expect(said).toBe('stuck');
  return child;
}

/** BullMQ itself, where the queue is. */
async function rootAt(place: Place): Promise<BullRoot> {
  const settings = { lockDuration: 1000, stalledInterval: 500, maxStalledCount: 1 };
  if (place.engine === 'postgres') return postgresRoot(place.url, schemaOf('test'), settings);
  if (place.engine === 'sqlite') throw new Error('SQLite has none');
  const redis = new JobsRedis(place.url, place.prefix, () => undefined);
  await redis.start();
  onTestFinished(() => redis.stop());
  return redis.bull(settings);
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

onEveryEngine((fresh) => {
  test(
    'shards of a machine that was killed are run by another one; no row is missing or double',
    async () => {
      const { place, open } = await fresh();
      // One lost machine is no attempt, or this one would end it.
      const queue = await open('door', { attempts: 1 });
      await queue.add(job('j1'));
      const child = await stuckMachine({
        ...{ place, server: 'killed', shards: 12, stuckAt: 5, stuckInPlanning: false },
      });
      await whenJob(queue, 'j1', ({ shards }) => shards.running > 0 && shards.done >= 4);
      const stuck = await queue.shards('j1', { limit: 12, state: 'running' });
      expect(stuck.map(({ server }) => server)).toContain('killed');
      await kill(child);
      const second = new ExampleWork('second', 12);
      queue.work(second, 2);
      expect(await whenEnded(queue, 'j1')).toMatchObject({
        ...{ state: 'done', rows: 12 * SHARD_ROWS },
        shards: { waiting: 0, running: 0, done: 12, failed: 0 },
      });
      const done = await queue.shards('j1', { limit: 12 });
      const servers = done.map(({ server }) => server);
      expect(servers.filter((server) => server === 'second')).toHaveLength(second.ran.length);
      expect(second.ran).toContain(5);
      expect(new Set(second.ran).size).toBe(second.ran.length);
    },
    TIME_LIMIT_MS,
  );

  test(
    'planning of a machine that was killed goes on elsewhere',
    async () => {
      const { place, open } = await fresh();
      // One lost machine is no attempt, or this one would end it.
      const queue = await open('door', { attempts: 1 });
      await queue.add(job('j1'));
      const child = await stuckMachine({
        ...{ place, server: 'killed', shards: 6, stuckAt: -1, stuckInPlanning: true },
      });
      await kill(child);
      queue.work(new ExampleWork('second', 10), 2);
      expect(await whenEnded(queue, 'j1')).toMatchObject({ state: 'done', rows: 10 * SHARD_ROWS });
    },
    TIME_LIMIT_MS,
  );
});

test(
  'on SQLite, what a killed server had waits again as soon as that server is there again',
  async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-jobs-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const place = { engine: 'sqlite', folder } as const;
    const door = await openAt(place, 'door');
    onTestFinished(door.close);
    await door.queue.add(job('j1'));
    const child = await stuckMachine({
      ...{ place, server: 'same', shards: 3, stuckAt: 1, stuckInPlanning: false },
    });
    await kill(child);
    // A lock of an hour: its end is not what is waited for.
    const again = await openAt(place, 'same', { lockMs: 3_600_000, attempts: 1 });
    onTestFinished(again.close);
    const [stuck] = await again.queue.shards('j1', { from: 1, limit: 1 });
    expect(stuck).toMatchObject({ state: 'waiting', attempts: 1 });
    again.queue.work(new ExampleWork('same', 3), 1);
    expect(await whenEnded(again.queue, 'j1')).toMatchObject({ state: 'done' });
  },
  TIME_LIMIT_MS,
);

onEveryServer((fresh) => {
  test(
    'shards that a lost server left paused, while it removed those of an earlier run, are given out all the same',
    async () => {
      const { place, open } = await fresh();
      const queue = await open('a');
      const work = new ExampleWork('a', 3);
      const [held, go] = [new Gate(), new Gate()];
      work.plan = async function* () {
        held.open();
        await go.opened;
        yield* pieces(3, 3);
      };
      queue.work(work, 1);
      await queue.add(job('j1'));
      await held.opened;
      const root = await rootAt(place);
      await root.backend.forQueue('job-j1').pause(true);
      go.open();
      expect(await whenEnded(queue, 'j1')).toMatchObject({ state: 'done', shards: { done: 3 } });
    },
    TIME_LIMIT_MS,
  );

  test(
    'an engine that goes away and comes back loses nothing: machines wait, and go on by themselves',
    async () => {
      const { open, server } = await fresh();
      const errors = vi.fn();
      const [one, two] = [await open('one', { onError: errors }), await open('two')];
      const works = [new ExampleWork('one', 30), new ExampleWork('two', 30)] as const;
      const [half, back] = [new Gate(), new Gate()];
      let count = 0;
      for (const work of works) {
        const { run } = work;
        work.run = async (state, of, signal) => {
          count += 1;
          if (count === 15) half.open();
          // These results come while the engine is away.
          if (count >= 15) await until(back, signal);
          return run(state, of, signal);
        };
      }
      await one.add(job('j1'));
      one.work(works[0], 2);
      two.work(works[1], 2);
      await half.opened;
      await server?.kill();
      await expect(one.find('j1')).rejects.toMatchObject({ code: 'JOBS_UNAVAILABLE', status: 503 });
      await expect(one.add(job('j2'))).rejects.toMatchObject({ retryable: true });
      back.open();
      await vi.waitFor(() => expect(errors).toHaveBeenCalled(), { timeout: 20_000 });
      await server?.restart();
      await vi.waitFor(async () => expect(await one.find('j1')).toBeDefined(), {
        timeout: 30_000,
        interval: 200,
      });
      const ended = await whenEnded(one, 'j1');
      expect(ended).toMatchObject({
        ...{ state: 'done', rows: 30 * SHARD_ROWS },
        shards: { waiting: 0, running: 0, done: 30, failed: 0 },
      });
    },
    TIME_LIMIT_MS,
  );
});
