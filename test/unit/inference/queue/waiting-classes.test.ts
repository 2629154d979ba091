import { describe, expect, test } from 'vitest';
import type { WorkerView } from '../../../../src/inference/queue/scheduler.js';
import {
  type ClassedRow,
  type Moment,
  WaitingClasses,
} from '../../../../src/inference/queue/waiting-classes.js';

interface Row extends ClassedRow {
  readonly name: string;
}

const LIMITS = { maxItems: 4, maxSize: 400 };
const LONG_AGO = -1_000_000;
/** A short row (4 ms) has at most 120 characters, a short batch (8 ms) 240, a bundle beside callers (100 ms) 3,000, any other 6,000. */
const CHARACTERS_PER_MS = 30;

function row(name: string, isJob: boolean, size = 100): Row {
  return { name, isJob, size, model: 'a', user: isJob ? 'job' : name };
}

function moment(change: Partial<Moment> = {}): Moment {
  return {
    ...{ nowMs: 0, workers: 2, jobBatches: 0, isHeld: () => false },
    sizeWithin: (_model, ms) => CHARACTERS_PER_MS * ms,
    ...change,
  };
}

function idle(...ids: readonly string[]): readonly WorkerView[] {
  return ids.map((id) => ({ id, capacity: 'now', models: new Set(['a']) }));
}

/** @param share of jobs */
function classes(share: number, rows: readonly Row[], callerAtMs = LONG_AGO): WaitingClasses<Row> {
  const waiting = new WaitingClasses<Row>(400, share);
  waiting.arrived(callerAtMs);
  for (const each of rows) waiting.of(each).add(each);
  return waiting;
}

const sizeOf = (rows: readonly Row[] = []) => rows.reduce((sum, { size }) => sum + size, 0);

const some = (count: number, isJob: boolean, size?: number) =>
  Array.from({ length: count }, (_, n) => row(`${isJob ? 'j' : 'c'}${n}`, isJob, size));

describe('callers and jobs', () => {
  test('callers go first; jobs get what they leave', () => {
    const waiting = classes(0, [...some(2, true), ...some(1, false)]);
    const first = waiting.next(idle('w1', 'w2'), LIMITS, moment());
    expect(first?.rows.map(({ name }) => name)).toEqual(['c0']);
    const next = waiting.next(idle('w2'), LIMITS, moment({ nowMs: 10_000 }));
    expect(next?.rows.every(({ isJob }) => isJob)).toBe(true);
  });

  test('while callers are there, bundles are short, and one worker of several has only rows that end at once', () => {
    const waiting = classes(0, [...some(20, true, 1000), ...some(3, true, 100)], 0);
    const first = waiting.next(idle('w1', 'w2'), LIMITS, moment());
    expect(first?.bundle).toEqual({ batchSize: 240, prefetchMs: 0, isShort: false });
    expect(sizeOf(first?.rows)).toBeLessThanOrEqual(3000);
    const last = waiting.next(idle('w2'), LIMITS, moment({ jobBatches: 1 }));
    expect(last?.rows.map(({ size }) => size)).toEqual([100, 100, 100]);
    expect(last?.bundle).toEqual({ batchSize: 120, prefetchMs: 0, isShort: true });
    // Nothing else is short.
    expect(waiting.next(idle('w2'), LIMITS, moment({ jobBatches: 1 }))).toBeUndefined();
    expect(waiting.presentForMs(400)).toBe(600);
    // They are gone: every worker has any rows, and more of them.
    const later = waiting.next(idle('w2'), LIMITS, moment({ jobBatches: 1, nowMs: 1000 }));
    expect(later?.bundle).toEqual({ batchSize: 400, prefetchMs: 400, isShort: false });
  });

  test('before a batch of the model has shown what it costs, none of its rows counts as short', () => {
    const unknown = moment({ sizeWithin: () => Number.POSITIVE_INFINITY, jobBatches: 1 });
    expect(classes(0, some(3, true, 1), 0).next(idle('w2'), LIMITS, unknown)).toBeUndefined();
  });

  test('what was saved for jobs runs in one batch, which is not recalled', () => {
    const waiting = classes(0.5, [...some(20, true), ...some(20, false)], 0);
    const runs: string[] = [];
    for (let turn = 0; turn < 6; turn += 1) {
      const next = waiting.next(idle('w1'), LIMITS, moment({ workers: 1 }));
      runs.push(next?.rows[0]?.isJob ? 'job' : 'caller');
      expect(next?.bundle).toBeUndefined();
    }
    expect(runs).toContain('job');
  });

  test('a lone worker works on jobs, too', () => {
    const waiting = classes(0, some(3, true), 0);
    expect(waiting.next(idle('w1'), LIMITS, moment({ workers: 1 }))?.rows).toHaveLength(2);
  });

  test.each([0, 0.1, 0.25, 0.5])('with callers without end jobs get %d of the work', (share) => {
    const waiting = classes(share, [...some(400, true), ...some(400, false)], 0);
    const sizes = { job: 0, caller: 0 };
    for (let turn = 0; turn < 90; turn += 1) {
      const rows = waiting.next(idle('w1'), LIMITS, moment({ jobBatches: 1 }))?.rows ?? [];
      for (const { isJob, size } of rows) sizes[isJob ? 'job' : 'caller'] += size;
    }
    expect(sizes.job / (sizes.job + sizes.caller)).toBeCloseTo(share, 1);
    expect(sizes.job > 0).toBe(share > 0);
  });

  test('a job has its next batch behind a short one where no caller is', () => {
    const views: WorkerView[] = [{ id: 'w1', capacity: 'prefetch', models: new Set(['a']) }];
    const waiting = classes(0, some(3, true));
    expect(waiting.next(views, LIMITS, moment())?.worker).toBe('w1');
    const beside = classes(0, some(3, true), 0);
    expect(beside.next(views, LIMITS, moment())).toBeUndefined();
  });

  test('what waits for a model of both classes is told', () => {
    const waiting = classes(0, [row('j', true), row('c', false)]);
    expect([waiting.size, waiting.countOf('a'), waiting.rowsOf('a').length]).toEqual([2, 2, 2]);
  });

  test('where no caller is, a job has bundles of rows of many lengths, and smaller ones towards its end', () => {
    const rows = Array.from({ length: 16 }, (_, n) => row(`j${n}`, true, n % 2 === 0 ? 100 : 190));
    const waiting = classes(0, rows);
    const quiet = moment({ sizeWithin: () => 600 });
    const sizes: number[] = [];
    for (;;) {
      const bundle = waiting.next(idle('w1'), LIMITS, quiet);
      if (bundle === undefined) break;
      expect(bundle.bundle).toBeDefined();
      expect(sizeOf(bundle.rows)).toBeLessThanOrEqual(600);
      sizes.push(bundle.rows.length);
    }
    expect(sizes.reduce((sum, count) => sum + count, 0)).toBe(16);
    expect(sizes[0]).toBe(4);
    expect(sizes.at(-1)).toBe(1);
  });

  test('before a batch of the model has shown what it costs, a bundle has one row', () => {
    const unknown = moment({ sizeWithin: () => Number.POSITIVE_INFINITY });
    expect(classes(0, some(8, true)).next(idle('w1'), LIMITS, unknown)?.rows).toHaveLength(1);
  });
});
