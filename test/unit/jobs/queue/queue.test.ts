import { expect, test } from 'vitest';
import {
  HANDED_BACK,
  JobFailure,
  type JobQueue,
  type JobState,
} from '../../../../src/jobs/queue/queue.js';
import { onEveryEngine } from './engines.js';
import {
  ExampleWork,
  Gate,
  job,
  MODEL,
  pieces,
  resultOf,
  SHARD_ROWS,
  shard,
  until,
  whenEnded,
  whenJob,
} from './example-work.js';
import { OPTIONS } from './places.js';

const TIME_LIMIT_MS = 60_000;

onEveryEngine((fresh) => {
  test(
    'a job is planned, its shards are run once each, and its manifest is written with all of them',
    async () => {
      const queue = await (await fresh()).open('a');
      const work = new ExampleWork('a', 10);
      const added = await queue.add(job('j1'));
      expect(added).toMatchObject({ id: 'j1', state: 'waiting', planned: false, rows: 0 });
      queue.work(work, 2);
      const ended = await whenEnded(queue, 'j1');
      expect(ended).toMatchObject({
        ...{ state: 'done', planned: true, files: 1, bytes: 1_000_000, bytesDone: 10_000 },
        ...{ rows: 10 * SHARD_ROWS, bad: 10, manifest: '/results/manifest.json', error: null },
        shards: { waiting: 0, running: 0, done: 10, failed: 0 },
        model: { id: 'spam', commit: null, dtype: 'fp32' },
      });
      expect([...work.ran].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      expect(work.finished.map((all) => all.map(({ shard }) => shard.index))).toEqual([
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
      ]);
      expect(work.finished[0]?.[4]).toMatchObject({
        ...{ state: 'done', attempts: 1, server: 'a', reason: null },
        result: resultOf(shard(4), 'a'),
      });
      expect(await queue.list(10)).toEqual([ended]);
      expect(await queue.list(10, 'done')).toEqual([ended]);
      expect(await queue.list(10, 'failed')).toEqual([]);
      // The job's end is noted first, and then that it is not open any more.
      await expect.poll(() => queue.backlog()).toEqual({ jobs: 0, shards: 0, rows: 0, open: [] });
    },
    TIME_LIMIT_MS,
  );

  test(
    'shards begin while the input is still being planned, and pages of them are told by state',
    async () => {
      const queue = await (await fresh()).open('a');
      const work = new ExampleWork('a', 0);
      const [first, rest, third] = [new Gate(), new Gate(), new Gate()];
      work.plan = async function* () {
        yield* pieces(4, 2);
        await rest.opened;
        for await (const piece of pieces(6, 2)) yield piece;
      };
      const { run } = work;
      work.run = async (state, of, signal) => {
        if (of.index === 3) first.open();
        if (of.index >= 2) await until(third, signal);
        return run(state, of, signal);
      };
      await queue.add(job('j1'));
      queue.work(work, 2);
      await first.opened;
      const running = await whenJob(queue, 'j1', ({ shards }) => shards.done === 2);
      expect(running).toMatchObject({ state: 'running', planned: false, rows: 2 * SHARD_ROWS });
      expect(running.shards).toEqual({ waiting: 0, running: 2, done: 2, failed: 0 });
      rest.open();
      const planned = await whenJob(queue, 'j1', ({ planned: all }) => all);
      expect(planned.shards).toEqual({ waiting: 2, running: 2, done: 2, failed: 0 });
      expect(await queue.backlog()).toMatchObject({ jobs: 1, shards: 4, rows: 4 * SHARD_ROWS });
      const of = async (state: 'waiting' | 'running' | 'done' | 'failed') =>
        (await queue.shards('j1', { limit: 10, state })).map(({ shard }) => shard.index);
      expect(await of('done')).toEqual([0, 1]);
      expect(await of('running')).toEqual([2, 3]);
      expect(await of('waiting')).toEqual([4, 5]);
      expect(await of('failed')).toEqual([]);
      const page = await queue.shards('j1', { from: 1, limit: 3 });
      expect(page.map(({ shard, state, attempts }) => [shard.index, state, attempts])).toEqual([
        [1, 'done', 1],
        [2, 'running', 1],
        [3, 'running', 1],
      ]);
      third.open();
      expect((await whenEnded(queue, 'j1')).state).toBe('done');
    },
    TIME_LIMIT_MS,
  );

  test('adding a job again changes nothing; unknown jobs are told', async () => {
    const queue = await (await fresh()).open('a');
    const added = await queue.add(job('j1'));
    expect(await queue.add(job('j1', { output: '/elsewhere' }))).toEqual(added);
    await queue.add(job('j2'));
    expect((await queue.list(10)).map(({ id }) => id).sort()).toEqual(['j1', 'j2']);
    expect(await queue.list(1)).toHaveLength(1);
    expect(await queue.find('none')).toBeUndefined();
    for (const asked of [
      queue.cancel('none'),
      queue.retry('none'),
      queue.shards('none', { limit: 1 }),
    ]) {
      await expect(asked).rejects.toMatchObject({ code: 'JOB_NOT_FOUND' });
    }
    await expect(queue.retry('j1')).rejects.toMatchObject({ code: 'JOB_RUNNING' });
  });

  test(
    'a failed attempt is made again; after the last one the shard is set aside, and a retry does it',
    async () => {
      const queue = await (await fresh()).open('a');
      const work = new ExampleWork('a', 5);
      const attempts = new Map<number, number>();
      const { run } = work;
      let isBroken = true;
      work.run = async (state, of, signal) => {
        const count = (attempts.get(of.index) ?? 0) + 1;
        attempts.set(of.index, count);
        if (of.index === 1 && count < 3) throw new Error('a passing fault');
        if (of.index === 3 && isBroken) throw new Error(`no attempt helps (${count})`);
        return run(state, of, signal);
      };
      await queue.add(job('j1'));
      queue.work(work, 2);
      const failed = await whenEnded(queue, 'j1');
      expect(failed).toMatchObject({ state: 'failed', error: null, rows: 4 * SHARD_ROWS });
      expect(failed.manifest).toBe('/results/manifest.json');
      expect(failed.shards).toEqual({ waiting: 0, running: 0, done: 4, failed: 1 });
      expect([attempts.get(1), attempts.get(3)]).toEqual([3, OPTIONS.attempts]);
      expect(await queue.shards('j1', { limit: 9, state: 'failed' })).toMatchObject([
        { attempts: 3, reason: 'no attempt helps (3)', server: 'a', result: null },
      ]);
      isBroken = false;
      const open = await queue.retry('j1');
      expect(open).toMatchObject({ endedAtMs: null, manifest: null });
      const done = await whenEnded(queue, 'j1');
      expect(done).toMatchObject({ state: 'done', rows: 5 * SHARD_ROWS });
      expect(work.ran.filter((index) => index !== 3).sort()).toEqual([0, 1, 2, 4]);
      await expect(queue.retry('j1')).rejects.toMatchObject({ code: 'JOB_ENDED' });
    },
    TIME_LIMIT_MS,
  );

  test(
    'a failure that no attempt can mend fails the job at once, and stops its other shards',
    async () => {
      const queue = await (await fresh()).open('a');
      const work = new ExampleWork('a', 6);
      const other = new Gate();
      const never = new Gate();
      let stopped: unknown;
      let hasTrouble = true;
      const { run } = work;
      work.run = async (state, of, signal) => {
        if (of.index === 0 && hasTrouble) {
          other.open();
          await until(never, signal).catch((reason: unknown) => {
            stopped = reason;
            throw reason;
          });
        }
        if (of.index === 1 && hasTrouble) {
          await other.opened;
          throw new JobFailure('the model is gone');
        }
        return run(state, of, signal);
      };
      await queue.add(job('j1'));
      queue.work(work, 2);
      const failed = await whenEnded(queue, 'j1');
      expect(failed).toMatchObject({ state: 'failed', error: 'the model is gone', manifest: null });
      await expect.poll(() => stopped).toBeInstanceOf(Error);
      hasTrouble = false;
      await queue.retry('j1');
      expect(await whenEnded(queue, 'j1')).toMatchObject({ state: 'done', error: null });
      expect([...work.ran].sort()).toEqual([0, 1, 2, 3, 4, 5]);
    },
    TIME_LIMIT_MS,
  );

  test(
    'planning that fails is tried again, and fails the job in the end; a retry plans it',
    async () => {
      const queue = await (await fresh()).open('a');
      const work = new ExampleWork('a', 4);
      const { plan } = work;
      let tries = 0;
      work.plan = async function* () {
        tries += 1;
        yield* pieces(2, 2);
        throw new Error(`the folder is away (${tries})`);
      };
      await queue.add(job('j1'));
      queue.work(work, 1);
      const failed = await whenEnded(queue, 'j1');
      expect(failed).toMatchObject({ state: 'failed', error: 'the folder is away (3)' });
      work.plan = plan;
      // Shards of the plan that failed were run or not, as it came.
      const before = work.ran.length;
      await queue.retry('j1');
      expect(await whenEnded(queue, 'j1')).toMatchObject({ state: 'done', rows: 4 * SHARD_ROWS });
      expect(sorted(work.ran.slice(before))).toEqual([0, 1, 2, 3]);
    },
    TIME_LIMIT_MS,
  );

  test(
    'a manifest that cannot be written is tried again',
    async () => {
      const queue = await (await fresh()).open('a');
      const work = new ExampleWork('a', 2);
      const { finish } = work;
      let tries = 0;
      work.finish = async (state, shards, signal) => {
        tries += 1;
        expect(state.state).toBe('finishing');
        if (tries < 3) throw new Error('the bucket is away');
        return finish(state, shards, signal);
      };
      await queue.add(job('j1'));
      queue.work(work, 1);
      expect(await whenEnded(queue, 'j1')).toMatchObject({ state: 'done' });
      expect(tries).toBe(3);
    },
    TIME_LIMIT_MS,
  );

  test(
    'an input without rows is a job that is done',
    async () => {
      const queue = await (await fresh()).open('a');
      const work = new ExampleWork('a', 0);
      await queue.add(job('j1'));
      queue.work(work, 1);
      expect(await whenEnded(queue, 'j1')).toMatchObject({ state: 'done', rows: 0, files: 0 });
    },
    TIME_LIMIT_MS,
  );

  test(
    'a cancelled job stops on every machine, keeps what is done, and goes on after a retry',
    async () => {
      const { open } = await fresh();
      const [one, two, door] = [await open('one'), await open('two'), await open('door')];
      const works = [new ExampleWork('one', 20), new ExampleWork('two', 20)] as const;
      const never = new Gate();
      let begun = 0;
      const stopped: unknown[] = [];
      for (const work of works) {
        const { run } = work;
        work.run = async (state, of, signal) => {
          if (of.index >= 5) {
            begun += 1;
            await until(never, signal).catch((reason: unknown) => {
              stopped.push(reason);
              throw reason;
            });
          }
          return run(state, of, signal);
        };
      }
      await door.add(job('j1'));
      one.work(works[0], 2);
      two.work(works[1], 2);
      // Both machines hold as many shards as they may.
      await expect.poll(() => begun, { timeout: 10_000 }).toBe(4);
      await whenJob(door, 'j1', ({ shards }) => shards.done === 5);
      const cancelled = await door.cancel('j1');
      expect(cancelled).toMatchObject({ state: 'cancelled', rows: 5 * SHARD_ROWS });
      expect(cancelled.endedAtMs).not.toBeNull();
      await expect(door.cancel('j1')).rejects.toMatchObject({ code: 'JOB_ENDED' });
      await expect.poll(() => stopped.length, { timeout: 10_000 }).toBe(4);
      never.open();
      await door.retry('j1');
      const done = await whenEnded(door, 'j1');
      expect(done).toMatchObject({ state: 'done', rows: 20 * SHARD_ROWS });
      expect(sorted([...works[0].ran, ...works[1].ran])).toEqual(sorted(range(20)));
    },
    TIME_LIMIT_MS,
  );

  test(
    'two machines share the shards of several jobs, and each shard is run once',
    async () => {
      const { open } = await fresh();
      const queues = [await open('one'), await open('two')] as const;
      const works = [new ExampleWork('one', 60, 20), new ExampleWork('two', 60, 20)] as const;
      for (const id of ['j1', 'j2', 'j3']) await queues[0].add(job(id));
      const both = new Gate();
      let waiting = 0;
      for (const work of works) {
        const { run } = work;
        let isFirst = true;
        work.run = async (state, of, signal) => {
          // Both have one before anyone goes on.
          if (isFirst) {
            isFirst = false;
            waiting += 1;
            if (waiting === 2) both.open();
            await both.opened;
          }
          return run(state, of, signal);
        };
      }
      queues[0].work(works[0], 1);
      queues[1].work(works[1], 1);
      for (const id of ['j1', 'j2', 'j3']) {
        expect(await whenEnded(queues[1], id)).toMatchObject({ rows: 60 * SHARD_ROWS });
      }
      expect(works[0].ran.length + works[1].ran.length).toBe(180);
      expect(works[0].finished.length + works[1].finished.length).toBe(3);
    },
    TIME_LIMIT_MS,
  );

  test(
    'a machine that stops hands its shards back, which counts as no attempt',
    async () => {
      const { open } = await fresh();
      const [one, two] = [await open('one', { attempts: 1 }), await open('two', { attempts: 1 })];
      const [first, second] = [new ExampleWork('one', 3), new ExampleWork('two', 3)];
      const began = new Gate();
      const reasons: unknown[] = [];
      first.run = async (_state, of, signal) => {
        if (of.index === 1) began.open();
        await until(new Gate(), signal).catch((reason: unknown) => {
          reasons.push(reason);
          throw reason;
        });
        return resultOf(of, 'one');
      };
      await one.add(job('j1'));
      one.work(first, 2);
      await began.opened;
      await one.stopWork();
      expect(reasons).toEqual([HANDED_BACK, HANDED_BACK]);
      expect(await one.find('j1')).toMatchObject({ shards: { waiting: 3, running: 0 } });
      two.work(second, 1);
      expect(await whenEnded(two, 'j1')).toMatchObject({ state: 'done' });
      expect(sorted(second.ran)).toEqual([0, 1, 2]);
    },
    TIME_LIMIT_MS,
  );

  test(
    'planning that was interrupted goes on elsewhere without a shard twice',
    async () => {
      const { open } = await fresh();
      const [one, two] = [await open('one'), await open('two')];
      const [first, second] = [new ExampleWork('one', 0), new ExampleWork('two', 9, 2)];
      const half = new Gate();
      first.plan = async function* (_state, signal) {
        yield* pieces(4, 2);
        half.open();
        await until(new Gate(), signal);
      };
      await one.add(job('j1'));
      one.work(first, 1);
      await half.opened;
      await whenJob(one, 'j1', ({ shards }) => shards.done === 4);
      await one.stopWork();
      two.work(second, 1);
      expect(await whenEnded(two, 'j1')).toMatchObject({ rows: 9 * SHARD_ROWS, state: 'done' });
      expect(sorted([...first.ran, ...second.ran])).toEqual(sorted(range(9)));
    },
    TIME_LIMIT_MS,
  );

  test(
    'no shard is taken as long as the machine says so; it is asked again',
    async () => {
      const queue = await (await fresh()).open('a');
      const work = new ExampleWork('a', 2);
      const asked: JobState[] = [];
      work.whyNotTake = (state) => {
        asked.push(state);
        return asked.length > 2 ? undefined : 'callers come first';
      };
      await queue.add(job('j1'));
      queue.work(work, 1);
      expect(await whenEnded(queue, 'j1')).toMatchObject({ state: 'done' });
      expect(asked[0]).toMatchObject({ id: 'j1', state: 'running', model: MODEL });
    },
    TIME_LIMIT_MS,
  );

  test(
    'another server sees what happens to a job',
    async () => {
      const { open } = await fresh();
      const [worker, door] = [await open('worker'), await open('door')];
      const kinds = new Set<string>();
      door.onEvent(({ kind }) => kinds.add(kind));
      const go = new Gate();
      const work = new ExampleWork('worker', 4);
      const { run } = work;
      work.run = async (state, of, signal) => {
        await until(go, signal);
        return run(state, of, signal);
      };
      worker.work(work, 1);
      await worker.add(job('j1'));
      await whenJob(door, 'j1', ({ planned }) => planned);
      go.open();
      await whenEnded(door, 'j1');
      await expect.poll(() => [...kinds].sort()).toEqual(['ended', 'planned', 'shard']);
    },
    TIME_LIMIT_MS,
  );

  test(
    'jobs that ended long ago are forgotten',
    async () => {
      let nowMs = Date.now();
      const queue = await (await fresh()).open('a', { now: () => nowMs });
      queue.work(new ExampleWork('a', 3), 1);
      await queue.add(job('old'));
      await whenEnded(queue, 'old');
      nowMs += 6 * 86_400_000;
      await queue.add(job('new'));
      await whenEnded(queue, 'new');
      nowMs += 2 * 86_400_000;
      expect(await queue.prune()).toBe(1);
      expect(await ids(queue)).toEqual(['new']);
      expect(await queue.find('old')).toBeUndefined();
      await queue.add(job('old'));
      expect(await whenEnded(queue, 'old')).toMatchObject({ state: 'done' });
    },
    TIME_LIMIT_MS,
  );
});

async function ids(queue: JobQueue): Promise<readonly string[]> {
  return (await queue.list(10)).map(({ id }) => id);
}

function range(count: number): readonly number[] {
  return Array.from({ length: count }, (_, n) => n);
}

function sorted(numbers: readonly number[]): readonly number[] {
  return [...numbers].sort((one, other) => one - other);
}
