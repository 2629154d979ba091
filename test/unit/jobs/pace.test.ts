import { expect, test } from 'vitest';
import { ASSUMED_ROWS_PER_SECOND, FleetPace, type OpenJob } from '../../../src/jobs/pace.js';

const job = (id: string, rows: number, startedAtMs: number | null = 0): OpenJob => {
  return { id, rows, startedAtMs };
};

test('rows of all open jobs count, those of jobs that ended since too', () => {
  const pace = new FleetPace();
  pace.look(0, [job('a', 0), job('b', 0)], []);
  pace.look(10_000, [job('a', 300), job('b', 100)], []);
  expect(pace.perSecond(10_000)).toBe(40);
  // b has ended with 200 rows more; a has 200 more as well.
  pace.look(20_000, [job('a', 500)], [job('b', 300)]);
  expect(pace.perSecond(20_000)).toBe(40);
  expect([...pace.jobs]).toEqual(['a']);
});

test('what was done more than a minute ago no longer counts', () => {
  const pace = new FleetPace();
  for (let s = 0; s <= 60; s += 5) pace.look(s * 1000, [job('a', s * 1000)], []);
  expect(pace.perSecond(60_000)).toBeCloseTo(1000);
  for (let s = 5; s <= 60; s += 5) pace.look((60 + s) * 1000, [job('a', 60_000 + s * 10)], []);
  expect(pace.perSecond(120_000)).toBeCloseTo(10);
});

test('shards that take minutes and end together give their mean, not bursts', () => {
  const pace = new FleetPace();
  // Four shards of 4000 rows every 200 s: 80 rows/s.
  for (let turn = 0; turn <= 6; turn += 1) pace.look(turn * 200_000, [job('a', turn * 16_000)], []);
  expect(pace.perSecond(1_200_000)).toBeCloseTo(80);
  expect(pace.perSecond(1_399_000)).toBeGreaterThan(55);
});

test('while nothing is done the pace falls', () => {
  const pace = new FleetPace();
  pace.look(0, [job('a', 0)], []);
  pace.look(10_000, [job('a', 1000)], []);
  expect(pace.perSecond(10_000)).toBe(100);
  expect(pace.perSecond(1_000_000)).toBe(1);
});

test('before a change was seen: the mean of jobs that are under way, else an assumed pace', () => {
  const pace = new FleetPace();
  expect(pace.perSecond(0)).toBe(ASSUMED_ROWS_PER_SECOND);
  pace.look(100_000, [job('waits', 0, null)], []);
  expect(pace.perSecond(100_000)).toBe(ASSUMED_ROWS_PER_SECOND);
  const restarted = new FleetPace();
  restarted.look(100_000, [job('a', 700), job('waits', 0, null)], []);
  expect(restarted.perSecond(100_000)).toBe(7);
});

test('time that a job waited for a server is none of its pace, nor are jobs that ended before', () => {
  const pace = new FleetPace();
  pace.look(0, [job('a', 0, null)], []);
  pace.look(1_010_000, [job('a', 1000, 1_000_000)], []);
  expect(pace.perSecond(1_010_000)).toBe(100);
  pace.look(1_020_000, [], [job('a', 2000, 1_000_000)]);
  pace.look(1_030_000, [job('b', 0, null)], []);
  expect(pace.perSecond(1_030_000)).toBe(ASSUMED_ROWS_PER_SECOND);
});
