/** A job that is asked for again, and what can stop one shard without stopping the job. */
import { expect, test } from 'vitest';
import {
  JobFailure,
  NotNow,
  type PlanPiece,
  type Shard,
  ShardFailure,
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

const TIME_LIMIT_MS = 60_000;

/** The same shards of another version of the file. */
async function* ofVersion(version: string, count: number): AsyncGenerator<PlanPiece> {
  const shards = Array.from({ length: count }, (_, index): Shard => {
    const of = shard(index);
    return { ...of, file: { ...of.file, version } };
  });
  yield { shards, files: 1, bytes: 1_000_000 };
}

onEveryEngine((fresh) => {
  test(
    'a job that is done begins anew when it is asked for again, with the input as it is then',
    async () => {
      const { open } = await fresh();
      const [queue, other] = [await open('a'), await open('other')];
      const work = new ExampleWork('a', 2);
      queue.work(work, 2);
      await queue.add(job('j1'));
      const first = await whenEnded(queue, 'j1');
      expect(await other.find('j1')).toEqual(first);
      work.plan = () => pieces(5, 3);
      const again = await other.add(job('j1'));
      expect(again).toMatchObject({ endedAtMs: null, manifest: null, rows: 0, planned: false });
      const second = await whenJob(queue, 'j1', ({ endedAtMs, shards }) => {
        return endedAtMs !== null && shards.done === 5;
      });
      expect(second).toMatchObject({ state: 'done', rows: 5 * SHARD_ROWS });
      expect(second.createdAtMs).toBeGreaterThan(first.createdAtMs);
      expect(work.finished.map((all) => all.length)).toEqual([2, 5]);
      expect(await whenEnded(other, 'j1')).toEqual(second);
      expect(await queue.list(10)).toEqual([second]);
    },
    TIME_LIMIT_MS,
  );

  test(
    'a failed job that is asked for again goes on, and keeps what is done',
    async () => {
      const queue = await (await fresh()).open('a', { attempts: 1 });
      const work = new ExampleWork('a', 4);
      const { run } = work;
      work.run = async (state, of, signal) => {
        if (of.index === 2) throw new Error('no');
        return run(state, of, signal);
      };
      queue.work(work, 1);
      await queue.add(job('j1'));
      expect(await whenEnded(queue, 'j1')).toMatchObject({ state: 'failed' });
      work.run = run;
      expect(await queue.add(job('j1'))).toMatchObject({ endedAtMs: null });
      expect(await whenEnded(queue, 'j1')).toMatchObject({ state: 'done' });
      expect([...work.ran].sort()).toEqual([0, 1, 2, 3]);
    },
    TIME_LIMIT_MS,
  );

  test(
    'a cancelled job that is asked for again with another model begins anew, with the same one it goes on',
    async () => {
      const queue = await (await fresh()).open('a');
      const work = new ExampleWork('a', 3);
      const { run } = work;
      const stuck = new Gate();
      work.run = async (state, of, signal) => {
        if (of.index === 1) {
          stuck.open();
          await until(new Gate(), signal);
        }
        return run(state, of, signal);
      };
      queue.work(work, 1);
      await queue.add(job('j1'));
      await stuck.opened;
      const began = await whenJob(queue, 'j1', ({ planned }) => planned);
      expect(began.model).toEqual(MODEL);
      await queue.cancel('j1');
      const same = await queue.add({ ...job('j1'), model: MODEL });
      expect(same.shards.done).toBe(1);
      await queue.cancel('j1');
      const other = await queue.add({ ...job('j1'), model: { ...MODEL, commit: 'newer' } });
      expect(other.shards.done).toBe(0);
    },
    TIME_LIMIT_MS,
  );

  test(
    'input that changes while it is planned fails the job with the remedy, and a retry plans it anew',
    async () => {
      const { open } = await fresh();
      const [one, two] = [await open('one'), await open('two')];
      const first = new ExampleWork('one', 0);
      const half = new Gate();
      first.plan = async function* (_state, signal) {
        yield* ofVersion('1', 2);
        half.open();
        await until(new Gate(), signal);
      };
      await one.add(job('j1'));
      one.work(first, 1);
      await half.opened;
      await whenJob(one, 'j1', ({ shards }) => shards.done === 2);
      await one.stopWork();
      const second = new ExampleWork('two', 0);
      second.plan = () => ofVersion('2', 3);
      two.work(second, 1);
      const failed = await whenEnded(two, 'j1');
      expect(failed).toMatchObject({ state: 'failed', manifest: null });
      expect(failed.error).toMatch(/input has changed while it was planned: retry the job/);
      await two.retry('j1');
      expect(await whenEnded(two, 'j1')).toMatchObject({ state: 'done', rows: 3 * SHARD_ROWS });
      const files = second.finished[0]?.map((of) => of.shard.file.version);
      expect(files).toEqual(['2', '2', '2']);
    },
    TIME_LIMIT_MS,
  );

  test(
    'a shard that cannot be read is set aside at once, the job ends with its manifest, and a retry plans anew',
    async () => {
      const queue = await (await fresh()).open('a');
      const work = new ExampleWork('a', 4);
      const { run, plan } = work;
      work.plan = async function* () {
        yield* pieces(4, 4);
        const rest = { ...shard(4), failed: '/b.csv has no column "text"' };
        yield { shards: [rest], files: 2, bytes: 1_000_000 };
      };
      let tries = 0;
      work.run = async (state, of, signal) => {
        if (of.index !== 1) return run(state, of, signal);
        tries += 1;
        throw new ShardFailure('/mails.jsonl.gz ends too early');
      };
      queue.work(work, 2);
      await queue.add(job('j1'));
      const failed = await whenEnded(queue, 'j1');
      expect(failed).toMatchObject({ state: 'failed', error: null, rows: 3 * SHARD_ROWS });
      expect(failed.manifest).toBe('/results/manifest.json');
      expect(tries).toBe(1);
      const aside = await queue.shards('j1', { limit: 9, state: 'failed' });
      expect(aside.map(({ shard: of, reason, attempts }) => [of.index, reason, attempts])).toEqual([
        [1, '/mails.jsonl.gz ends too early', 1],
        [4, '/b.csv has no column "text"', 1],
      ]);
      Object.assign(work, { run, plan });
      await queue.retry('j1');
      expect(await whenEnded(queue, 'j1')).toMatchObject({ state: 'done', shards: { done: 4 } });
    },
    TIME_LIMIT_MS,
  );

  test(
    'an outage is no attempt: the job waits with its reason, and goes on by itself',
    async () => {
      const queue = await (await fresh()).open('a', { attempts: 1 });
      const work = new ExampleWork('a', 2);
      const { run } = work;
      let isFull = true;
      const tried = new Gate();
      work.run = async (state, of, signal) => {
        if (!isFull) return run(state, of, signal);
        tried.open();
        throw new NotNow('outage', 'there is no space for /results/part');
      };
      queue.work(work, 1);
      await queue.add(job('j1'));
      await tried.opened;
      await expect
        .poll(() => queue.whyIdle('j1'), { timeout: 10_000 })
        .toBe('there is no space for /results/part');
      isFull = false;
      const done = await whenEnded(queue, 'j1');
      expect(done).toMatchObject({ state: 'done', shards: { done: 2, failed: 0 } });
      expect(queue.whyIdle('j1')).toBeUndefined();
    },
    TIME_LIMIT_MS,
  );

  test(
    'what a machine that was taken for lost adds to a job that began anew meanwhile is refused',
    async () => {
      const { open } = await fresh();
      const [one, two] = [await open('one'), await open('two')];
      const slow = new ExampleWork('one', 2);
      const [began, go, over] = [new Gate(), new Gate(), new Gate()];
      const { run } = slow;
      slow.run = async (_state, of) => {
        slow.run = run;
        began.open();
        await go.opened;
        over.open();
        return { ...resultOf(of, 'one'), rows: 7 };
      };
      await one.add(job('j1'));
      one.work(slow, 1);
      await began.opened;
      await two.cancel('j1');
      await two.add({ ...job('j1'), model: { ...MODEL, dtype: 'q8' } });
      go.open();
      await over.opened;
      two.work(new ExampleWork('two', 2), 1);
      const done = await whenEnded(two, 'j1');
      expect(done).toMatchObject({ state: 'done', rows: 2 * SHARD_ROWS, shards: { done: 2 } });
    },
    TIME_LIMIT_MS,
  );

  test('a failure of the whole job after the plan keeps what is done', async () => {
    const queue = await (await fresh()).open('a');
    const work = new ExampleWork('a', 3);
    const { finish } = work;
    work.finish = async () => {
      throw new JobFailure('too many bad rows');
    };
    queue.work(work, 1);
    await queue.add(job('j1'));
    expect(await whenEnded(queue, 'j1')).toMatchObject({ error: 'too many bad rows' });
    work.finish = finish;
    await queue.retry('j1');
    expect(await whenEnded(queue, 'j1')).toMatchObject({ state: 'done' });
    expect([...work.ran].sort()).toEqual([0, 1, 2]);
  });
});
