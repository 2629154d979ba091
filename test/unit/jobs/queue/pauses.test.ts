import { expect, test } from 'vitest';
import { LONGEST_OUTAGE_MS, Pauses } from '../../../../src/jobs/queue/machine/pauses.js';
import { NotNow } from '../../../../src/jobs/queue/queue.js';

const shard = (index: number) => ({ job: 'j1', kind: 'shard' as const, shard: index });
const outage = new NotNow('outage', 'no space');

test('a task that cannot go on waits twice as long each time, up to a minute', () => {
  const pauses = new Pauses(() => 0);
  const waits = Array.from({ length: 8 }, () => pauses.notNow(shard(0), outage));
  expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
});

test('the machine takes nothing of that job meanwhile, until its pause is over or another task goes well', () => {
  let nowMs = 0;
  const pauses = new Pauses(() => nowMs);
  pauses.notNow(shard(0), outage);
  expect([pauses.reasonOf('j1'), pauses.reasonOf('j2')]).toEqual(['no space', undefined]);
  nowMs = 1000;
  expect([pauses.reasonOf('j1'), pauses.lastReasonOf('j1')]).toEqual([undefined, 'no space']);
  pauses.notNow(shard(1), outage);
  nowMs = 2999;
  expect(pauses.reasonOf('j1')).toBe('no space');
  pauses.wentWell(shard(2));
  expect([pauses.reasonOf('j1'), pauses.lastReasonOf('j1')]).toEqual([undefined, undefined]);
});

test('an outage that lasts for an hour is an attempt; a server that is busy is none, ever', () => {
  let nowMs = 0;
  const pauses = new Pauses(() => nowMs);
  const busy = new NotNow('busy', 'callers');
  for (const error of [outage, busy]) pauses.notNow(shard(error === outage ? 0 : 1), error);
  nowMs = LONGEST_OUTAGE_MS - 1;
  expect(pauses.notNow(shard(0), outage)).toBe(2000);
  nowMs = LONGEST_OUTAGE_MS;
  expect(pauses.notNow(shard(0), outage)).toBeUndefined();
  expect(pauses.notNow(shard(1), busy)).toBe(2000);
  pauses.wentWell(shard(0));
  expect(pauses.notNow(shard(0), outage)).toBe(1000);
});
