import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  disturbancesOf,
  othersBetween,
  type ProcessTicks,
  parseMachineTicks,
  parseProcessTicks,
  type Snapshot,
  treeTicks,
} from '../../../bench/harness/machine/disturbance.js';
import { MachineWatch } from '../../../bench/harness/machine/machine-load.js';

/** Takes 0.1 s of CPU time. */
const BURN = 'const end = process.cpuUsage().user + 1e5; while (process.cpuUsage().user < end);';

describe('the machine’s CPU time', () => {
  // The first lines of /proc/stat of a virtual machine with Linux 6.18.
  const captured = [
    'cpu  103192 13168 38918 53719 1601 0 975 6866 0 0',
    'cpu0 52080 6500 19325 26606 756 0 606 3472 0 0',
    'intr 9000 0',
  ].join('\n');

  test('is read from the first line of /proc/stat', () => {
    expect(parseMachineTicks(captured)).toEqual({
      total: 103192 + 13168 + 38918 + 53719 + 1601 + 975 + 6866,
      work: 103192 + 13168 + 38918,
      steal: 6866,
    });
  });

  test.each(['', 'cpu  1 2 3', 'intr 1 2'])('is unknown from %j', (text) => {
    expect(parseMachineTicks(text)).toBeUndefined();
  });
});

describe('a process’s CPU time', () => {
  const stat = (name: string) =>
    `4242 (${name}) S 17 4242 4242 0 -1 4194304 100 0 0 0 31 12 5 2 20 0 11 0 900 1 2 3`;

  test.each(['node', 'a b', 'odd) R 1 (name', '(((', ')'])('of %j', (name) => {
    expect(parseProcessTicks(stat(name))).toEqual({ pid: 4242, parent: 17, own: 43, reaped: 7 });
  });

  test.each(['', 'no process', '12 (cut off) S 1'])('is unknown from %j', (text) => {
    expect(parseProcessTicks(text)).toBeUndefined();
  });

  test('of children that have ended stays in the tree', () => {
    const own = () => {
      const ticks = parseProcessTicks(readFileSync('/proc/self/stat', 'latin1'));
      return treeTicks(ticks === undefined ? [] : [ticks], process.pid);
    };
    const before = own();
    const burn =
      'const end = process.cpuUsage().user + 1e5; while (process.cpuUsage().user < end);';
    spawnSync(process.execPath, ['-e', burn]);
    expect(own() - before).toBeGreaterThanOrEqual(10);
  });
});

describe('what others took', () => {
  const running = (pid: number, parent: number, own: number, reaped = 0): ProcessTicks => ({
    ...{ pid, parent, own, reaped },
  });
  const ROOT = 100;
  const snapshot = (
    total: number,
    work: number,
    steal: number,
    processes: readonly ProcessTicks[],
  ): Snapshot => ({ machine: { total, work, steal }, processes });

  test('is the work that neither our tree nor the kernel did', () => {
    const before = snapshot(1000, 500, 10, [running(ROOT, 1, 20), running(7, 1, 300)]);
    const after = snapshot(3000, 1500, 50, [
      running(ROOT, 1, 120, 80),
      running(101, ROOT, 400),
      // A grandchild, and threads of the kernel.
      running(102, 101, 100),
      ...[running(2, 0, 1), running(33, 2, 99)],
      running(7, 1, 500),
    ]);
    // 1000 ticks of work, 680 ours, 100 the kernel's.
    expect(othersBetween(before, after, ROOT)).toEqual({ othersPercent: 11, stealPercent: 2 });
  });

  test('is never less than nothing, also when threads of the kernel have gone', () => {
    const before = snapshot(1000, 500, 0, [running(ROOT, 1, 10), running(33, 2, 400)]);
    const after = snapshot(2000, 1000, 0, [running(ROOT, 1, 530)]);
    expect(othersBetween(before, after, ROOT)?.othersPercent).toBe(0);
  });

  test('is unknown where no time has passed', () => {
    const same = snapshot(1000, 500, 0, []);
    expect(othersBetween(same, same, ROOT)).toBeUndefined();
  });

  test('is read on this machine, as a part of it', () => {
    const watch = new MachineWatch();
    spawnSync(process.execPath, ['-e', BURN]);
    const { load } = watch.end();
    for (const percent of [load.others_percent, load.steal_percent]) {
      expect(percent).toBeGreaterThanOrEqual(0);
      expect(percent).toBeLessThanOrEqual(100);
    }
  });
});

describe('a result is marked', () => {
  const quiet = { load_average: 0.2, others_percent: 0.4, steal_percent: 0.1 };
  const first = { cores: 2, isFirst: true };

  test('not on a quiet machine', () => {
    expect(disturbancesOf(quiet, first)).toEqual([]);
  });

  test('with each figure that is too high', () => {
    const busy = { load_average: 3.1, others_percent: 12.5, steal_percent: 4 };
    expect(disturbancesOf(busy, first)).toEqual([
      'other processes took 12.5 % of the CPU time',
      'other virtual machines took 4 % of the CPU time (steal)',
      'the load average was 3.1 on 2 cores when it began',
    ]);
  });

  test('not for the load that an earlier benchmark left behind', () => {
    const afterAnother = { cores: 2, isFirst: false };
    expect(disturbancesOf({ ...quiet, load_average: 6 }, afterAnother)).toEqual([]);
  });

  test('not for what is unknown', () => {
    const unknown = { load_average: 0, others_percent: null, steal_percent: null };
    expect(disturbancesOf(unknown, first)).toEqual([]);
  });
});
