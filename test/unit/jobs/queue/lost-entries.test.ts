import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { JobsRedis } from '../../../../src/jobs/queue/bullmq/jobs-redis.js';
import { SqlLedger } from '../../../../src/jobs/queue/embedded/sql-ledger.js';
import { type Entry, partsOf, written } from '../../../../src/jobs/queue/journal/entries.js';
import { LiveJobs } from '../../../../src/jobs/queue/journal/live-jobs.js';
import { RedisServer } from '../../../servers/redis.js';
import { redis } from '../../../servers/tools.js';
import {
  ExampleWork,
  Gate,
  job,
  pieces,
  resultOf,
  shard,
  until,
  whenEnded,
  whenJob,
} from './example-work.js';
import { openAt, openStore } from './places.js';

const TIME_LIMIT_MS = 60_000;
const PREFIX = 'lost';

/** A Redis that came back with an older journal, or a replica that took over, has lost its last entries. */
describe.skipIf(redis === undefined)('entries that Redis lost', () => {
  let server: RedisServer;
  let commands: JobsRedis;
  beforeAll(async () => {
    server = await RedisServer.start(redis, 'kept');
    commands = new JobsRedis(server.url(), PREFIX, () => undefined);
    await commands.start();
  });
  afterAll(async () => {
    await commands?.stop();
    await server?.stop();
  });

  const journalOf = (id: string) => `${PREFIX}:ledger:journal:${id}`;
  const lose = (id: string, count: number) =>
    commands.send(['LTRIM', journalOf(id), '0', String(-1 - count)]);
  const open = async (name: string) => {
    const { queue, close } = await openAt(
      { engine: 'redis', url: server.url(), prefix: PREFIX },
      name,
    );
    onTestFinished(close);
    return queue;
  };
  const kindsOf = async (id: string) => {
    const texts = await commands.send<string[]>(['LRANGE', journalOf(id), '0', '-1']);
    return texts.map((text) => (JSON.parse(text) as Entry).kind);
  };

  test(
    'results: no manifest is written without them, their shards are done again',
    async () => {
      const queue = await open('a');
      const work = new ExampleWork('a', 5);
      const [asked, go] = [new Gate(), new Gate()];
      const { finish } = work;
      work.finish = async (state, shards, signal) => {
        asked.open();
        await until(go, signal);
        return finish(state, shards, signal);
      };
      queue.work(work, 2);
      await queue.add(job('results'));
      await asked.opened;
      await lose('results', 2);
      go.open();
      const ended = await whenEnded(queue, 'results');
      expect(ended).toMatchObject({ state: 'done', shards: { done: 5 } });
      expect(work.finished).toHaveLength(1);
      expect(work.finished[0]?.map(({ result }) => result?.part)).toEqual(
        Array.from({ length: 5 }, (_, n) => `part-${n}.jsonl`),
      );
      expect(work.ran).toHaveLength(7);
    },
    TIME_LIMIT_MS,
  );

  test(
    'results, and others noted more since: this server sees what those noted',
    async () => {
      const queue = await open('a');
      const work = new ExampleWork('a', 4);
      const go = new Gate();
      const { run } = work;
      work.run = async (state, of, signal) => {
        if (of.index > 1) await until(go, signal);
        return run(state, of, signal);
      };
      queue.work(work, 4);
      await queue.add(job('others'));
      await whenJob(queue, 'others', ({ shards }) => shards.done === 2);
      await lose('others', 2);
      const others = [2, 0].map((n) =>
        written({ kind: 'done', shard: n, result: resultOf(shard(n), 'b') }),
      );
      await commands.send(['RPUSH', journalOf('others'), ...others]);
      const told = await queue.shards('others', { limit: 4, state: 'done' });
      expect(told).toMatchObject([
        { shard: { index: 0 }, server: 'b' },
        { shard: { index: 2 }, server: 'b' },
      ]);
      go.open();
      expect(await whenEnded(queue, 'others')).toMatchObject({ state: 'done', rows: 400 });
      expect(work.finished[0]?.map(({ server: by }) => by)).toEqual(['b', 'a', 'b', 'a']);
    },
    TIME_LIMIT_MS,
  );

  test(
    'shards that were planned: they are planned again, none is left out and none is another one',
    async () => {
      const queue = await open('a');
      const work = new ExampleWork('a', 0);
      const [half, go] = [new Gate(), new Gate()];
      work.plan = async function* () {
        work.plans += 1;
        let count = 0;
        for await (const piece of pieces(8, 2)) {
          if (work.plans === 1 && count === 3) {
            half.open();
            await go.opened;
          }
          yield piece;
          count += 1;
        }
      };
      work.whyNotTake = ({ planned }) => (planned ? undefined : 'not planned');
      queue.work(work, 2);
      await queue.add(job('plan'));
      await half.opened;
      await lose('plan', 1);
      go.open();
      const ended = await whenEnded(queue, 'plan');
      expect(ended).toMatchObject({ state: 'done', error: null, shards: { done: 8 } });
      expect(work.finished[0]?.map((of) => of.shard)).toEqual(
        Array.from({ length: 8 }, (_, n) => shard(n)),
      );
      expect(work.plans).toBe(2);
    },
    TIME_LIMIT_MS,
  );

  test(
    'the end of the job, with some results: it goes on',
    async () => {
      const queue = await open('a');
      const work = new ExampleWork('a', 3);
      const { finish } = work;
      let lost = false;
      work.finish = async (state, shards, signal) => {
        const manifest = await finish(state, shards, signal);
        if (!lost) await lose('end', 2);
        lost = true;
        return manifest;
      };
      queue.work(work, 1);
      await queue.add(job('end'));
      expect(await whenEnded(queue, 'end')).toMatchObject({ state: 'done', shards: { done: 3 } });
      expect((await kindsOf('end')).filter((kind) => kind === 'done')).toHaveLength(3);
      expect(work.finished).toHaveLength(2);
    },
    TIME_LIMIT_MS,
  );
});

test('the sum is made anew where the journal is not what was summed up: shorter, or another one', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-journal-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const store = await openStore({ engine: 'sqlite', folder });
  onTestFinished(() => store.close());
  const ledger = new SqlLedger(store.database);
  const record = { ...job('j'), createdAtMs: 1, ended: null };
  await ledger.create(record);
  const jobs = new LiveJobs(ledger, () => undefined);
  const parts = partsOf([shard(0), shard(1)]);
  const done = (n: number, server: string): Entry => ({
    ...{ kind: 'done', shard: n, result: resultOf(shard(n), server) },
  });
  const live = await jobs.append(record, [
    { kind: 'began', atMs: 5 },
    { kind: 'piece', first: 0, parts, files: 1, bytes: 10 },
    { kind: 'planned', shards: 2 },
    done(0, 'a'),
    done(1, 'a'),
  ]);
  expect(live.tally.isSettled).toBe(true);
  const cut = async (from: number) => {
    const { database } = store;
    await database.write((on) => sql`delete from job_journal where place >= ${from}`.execute(on));
    await database.write((on) => sql`update jobs set entries = ${from}`.execute(on));
  };
  await cut(3);
  await jobs.current(record);
  // Whoever holds the job holds its new sum.
  expect(live.tally).toMatchObject({ entries: 3, done: 0, rows: 0, isSettled: false });
  await jobs.append(record, [done(1, 'a')]);
  await cut(3);
  await ledger.append(record, [done(0, 'b'), done(0, 'c')].map(written));
  await jobs.current(record);
  expect(live.tally).toMatchObject({ entries: 5, done: 1 });
  expect([live.tally.outcomeOf(0), live.tally.outcomeOf(1)]).toEqual(['done', undefined]);
  await cut(1);
  await jobs.append(record, [
    { kind: 'planned', shards: 2 },
    done(0, 'a'),
    { kind: 'finished', atMs: 9, manifest: 'm' },
  ]);
  // Noted by a server that did not know of the loss.
  expect(live.tally).toMatchObject({ known: 0, planned: false, done: 0, hasEnded: false });
  await cut(0);
  await jobs.current(record);
  expect(live.tally).toMatchObject({ entries: 0, startedAtMs: null });
});
