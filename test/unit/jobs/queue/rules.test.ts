import { expect, test } from 'vitest';
import type { Entry } from '../../../../src/jobs/queue/journal/entries.js';
import { Tally } from '../../../../src/jobs/queue/journal/tally.js';
import { pauseAfter, verdictOn } from '../../../../src/jobs/queue/rules.js';
import { resultOf, shard } from './example-work.js';

const REQUEST = { input: '/in', output: '/out' };
const FILE = { url: '/a.csv.gz', bytes: 900, version: '1' };

function tallyOf(...entries: readonly Entry[]): Tally {
  const tally = new Tally(REQUEST);
  for (const entry of entries) tally.add(entry);
  return tally;
}

const began: Entry = { kind: 'began', atMs: 1 };
const planned: Entry = { kind: 'planned' };
const piece = (first: number, ...rows: readonly number[]): Entry => {
  const ranges = rows.map((count) => ({ unit: 'rows' as const, start: 0, end: count }));
  return { kind: 'piece', first, parts: [{ file: FILE, ranges }], files: 1, bytes: 900 };
};
const done = (index: number): Entry => ({
  kind: 'done',
  shard: index,
  result: resultOf(shard(index), 'a'),
});
const failed = (index: number): Entry => ({
  ...{ kind: 'failed', shard: index, reason: 'no', attempts: 3, server: 'a' },
});

test('pauses double with each attempt, up to an hour', () => {
  expect([1, 2, 3, 40].map((count) => pauseAfter(count, 1000))).toEqual([
    1000, 2000, 4000, 3_600_000,
  ]);
});

test('what is noted twice counts once', () => {
  const tally = tallyOf(began, piece(0, 10, 20), piece(0, 10, 20), done(1), done(1), failed(1));
  expect(tally).toMatchObject({ known: 2, done: 1, failed: 0, rows: 100, state: 'running' });
});

test('bytes of a packed file count by its share of rows', () => {
  expect(tallyOf(began, piece(0, 10, 20), done(1)).bytesDone).toBe(600);
  expect(tallyOf(began, piece(0, 10, 20), done(0), done(1)).bytesDone).toBe(900);
});

test('the first end counts, and a retry gives failed shards out again', () => {
  const end: Entry = { kind: 'finished', atMs: 5, manifest: 'm' };
  const tally = tallyOf(began, piece(0, 1, 1), planned, done(0), failed(1));
  expect(tally.state).toBe('finishing');
  tally.add(end);
  tally.add({ kind: 'cancelled', atMs: 6 });
  expect(tally).toMatchObject({ state: 'failed', endedAtMs: 5, manifest: 'm' });
  tally.add({ kind: 'retried' });
  expect(tally).toMatchObject({ state: 'running', failed: 0, done: 1, manifest: null });
  expect([0, 1].map((index) => tally.outcomeOf(index))).toEqual(['done', undefined]);
});

test('a shard that is through is dropped, one of an ended job waits, one without attempts is set aside', () => {
  const open = tallyOf(began, piece(0, 1, 1), done(0));
  const verdict = (index: number, attempts: number, tally: Tally) =>
    verdictOn(
      { kind: 'shard', shard: index },
      { failedAttempts: attempts, lostMachines: 0 },
      tally,
      3,
    );
  expect(verdict(0, 0, open)).toBe('drop');
  expect(verdict(1, 2, open)).toBe('run');
  expect(verdict(1, 3, open)).toBe('set aside');
  open.add({ kind: 'cancelled', atMs: 2 });
  expect(verdict(1, 0, open)).toBe('put back');
  expect(
    verdictOn({ kind: 'plan', shard: -1 }, { failedAttempts: 0, lostMachines: 0 }, open, 3),
  ).toBe('drop');
});

test('machines that were lost are no attempts, but a shard that ends machine after machine is set aside', () => {
  const open = tallyOf(began, piece(0, 1));
  const verdict = (lostMachines: number, most: number) =>
    verdictOn({ kind: 'shard', shard: 0 }, { failedAttempts: 0, lostMachines }, open, most);
  expect([verdict(3, 3), verdict(9, 3), verdict(10, 3)]).toEqual(['run', 'run', 'set aside']);
  expect([verdict(14, 5), verdict(15, 5)]).toEqual(['run', 'set aside']);
  const plan = { kind: 'plan', shard: -1 } as const;
  expect(verdictOn(plan, { failedAttempts: 0, lostMachines: 3 }, open, 3)).toBe('run');
});

test('a retry plans anew what was not planned, and what cannot be read as it was planned', () => {
  const broken: Entry = { kind: 'broken', atMs: 2, reason: 'no' };
  expect(tallyOf(began, piece(0, 1), broken).plansAnew).toBe(true);
  expect(tallyOf(began, piece(0, 1), planned, broken).plansAnew).toBe(false);
  expect(tallyOf(began, piece(0, 1), planned, { ...broken, anew: true }).plansAnew).toBe(true);
  expect(tallyOf(began, piece(0, 1, 1), planned, failed(0)).plansAnew).toBe(false);
  const unreadable = { ...failed(0), anew: true } as Entry;
  expect(tallyOf(began, piece(0, 1, 1), planned, unreadable).plansAnew).toBe(true);
});
