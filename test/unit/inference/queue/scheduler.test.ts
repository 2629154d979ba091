import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lengthClass } from '../../../../src/inference/queue/length-class.js';
import {
  type BatchLimits,
  type Dispatch,
  plan,
  type WorkerView,
} from '../../../../src/inference/queue/scheduler.js';
import { type WaitingRow, WaitingRows } from '../../../../src/inference/queue/waiting-rows.js';

const WIDE: BatchLimits = { maxItems: 100, maxSize: 1_000_000 };

interface Row extends WaitingRow {
  readonly name: number;
}

/** A user of its own unless one is named. */
function row(name: number, size = 10, model = 'a', user = `u${name}`, alone = false): Row {
  return { name, model, size, user, alone };
}

function worker(
  id: string,
  models: readonly string[] = [],
  capacity: WorkerView['capacity'] = 'now',
): WorkerView {
  return { id, capacity, models: new Set(models) };
}

function waitingOf(rows: readonly Row[]): WaitingRows<Row> {
  const waiting = new WaitingRows<Row>();
  for (const each of rows) waiting.add(each);
  return waiting;
}

/** Every batch that can start now; a worker that got one is busy. */
function planAll(
  waiting: WaitingRows<Row>,
  workers: readonly WorkerView[],
  limits: BatchLimits,
  isHeld?: (model: string) => boolean,
): readonly Dispatch<Row>[] {
  const dispatches: Dispatch<Row>[] = [];
  let views = workers;
  for (;;) {
    const dispatch = plan(waiting, views, limits, isHeld);
    if (dispatch === undefined) return dispatches;
    dispatches.push(dispatch);
    views = views.map((view) =>
      view.id === dispatch.worker ? { ...view, capacity: 'none' } : view,
    );
  }
}

/** `w1:a[1,2]` for each dispatch. */
function shown(dispatches: readonly Dispatch<Row>[]): readonly string[] {
  return dispatches.map(
    ({ worker: id, model, rows }) => `${id}:${model}[${rows.map(({ name }) => name).join(',')}]`,
  );
}

describe('rule', () => {
  const rules: readonly [
    string,
    readonly Row[],
    readonly WorkerView[],
    Partial<BatchLimits>,
    readonly string[],
  ][] = [
    ['1: nothing waits', [], [worker('w1')], {}, []],
    ['1: there is no worker', [row(1)], [], {}, []],
    ['1: no worker is idle', [row(1)], [worker('w1', ['a'], 'none')], {}, []],
    [
      '1: short batches are followed up where more users wait than workers take one',
      [row(1, 500), row(2, 500), row(3, 500)],
      [worker('w1', ['a'], 'prefetch'), worker('w2', ['a'], 'none')],
      {},
      ['w1:a[1]'],
    ],
    [
      '1: not where a worker will soon be idle for each',
      [row(1, 500), row(2, 500)],
      [worker('w1', ['a'], 'prefetch'), worker('w2', ['a'], 'prefetch')],
      {},
      [],
    ],
    [
      '1: not by the next ones of a flood',
      [1, 2, 3, 4].map((name) => row(name, 500, 'a', 'flood')),
      [worker('w1', ['a'], 'prefetch')],
      {},
      [],
    ],
    [
      '1: not while there is an idle one',
      [row(1, 500), row(2, 500)],
      [worker('w1', ['a'], 'prefetch'), worker('w2')],
      {},
      ['w2:a[1]'],
    ],
    [
      '3: a model that is not open there is not opened behind a batch',
      [row(1), row(2), row(3)],
      [worker('w1', ['b'], 'prefetch')],
      {},
      [],
    ],
    [
      '2: of users as little served, who came first',
      [row(1), row(2, 10, 'b'), row(3, 10, 'b')],
      [worker('w1', ['b'])],
      {},
      ['w1:a[1]'],
    ],
    [
      '3: a worker that holds the model',
      [row(1)],
      [worker('w1'), worker('w2', ['a'])],
      {},
      ['w2:a[1]'],
    ],
    [
      '3: not a busy one that holds it',
      [row(1)],
      [worker('w1'), worker('w2', ['a'], 'none')],
      {},
      ['w1:a[1]'],
    ],
    [
      '3: else the one that holds the fewest',
      [row(1)],
      [worker('w1', ['b', 'c']), worker('w2', ['b'])],
      {},
      ['w2:a[1]'],
    ],
    [
      '4: shared out among idle workers',
      [row(1), row(2), row(3)],
      [worker('w1'), worker('w2')],
      {},
      ['w1:a[1,2]', 'w2:a[3]'],
    ],
    [
      '4: busy workers get no share',
      [row(1), row(2)],
      [worker('w1'), worker('w2', [], 'none')],
      {},
      ['w1:a[1,2]'],
    ],
    [
      '5: the nearest in length first, and none whose padding costs more than a run',
      [row(1, 210), row(2, 5000), row(3, 280), row(4, 220), row(5, 60)],
      [worker('w1')],
      {},
      ['w1:a[1,4]'],
    ],
    ['5: short ones are alike', [row(1, 5), row(2, 70)], [worker('w1')], {}, ['w1:a[1,2]']],
    ['5: long ones run alone', [row(1, 1000), row(2, 1000)], [worker('w1')], {}, ['w1:a[1]']],
    [
      '5: no more than fit',
      [row(1), row(2), row(3)],
      [worker('w1')],
      { maxItems: 2 },
      ['w1:a[1,2]'],
    ],
    [
      '5: a long row does not make the others too large',
      [row(1, 10), row(2, 100), row(3, 9)],
      [worker('w1')],
      { maxSize: 30 },
      ['w1:a[1,3]'],
    ],
    [
      '5: a row that is too large alone still runs',
      [row(1, 500), row(2)],
      [worker('w1')],
      { maxSize: 100 },
      ['w1:a[1]'],
    ],
    [
      '5: alone means alone',
      [row(1), row(2, 10, 'a', 'u2', true), row(3)],
      [worker('w1'), worker('w2')],
      {},
      ['w1:a[1,3]', 'w2:a[2]'],
    ],
  ];

  test.each(rules)('%s', (_rule, rows, workers, limits, expected) => {
    expect(shown(planAll(waitingOf(rows), workers, { ...WIDE, ...limits }))).toEqual(expected);
  });

  test('1: who has to wait for an idle worker keeps its turn', () => {
    const of = [row(1, 500, 'a'), row(2, 500, 'b'), row(3, 500, 'b'), row(4, 500, 'b')];
    const waiting = waitingOf(of);
    const names = (capacity: WorkerView['capacity']) =>
      plan(waiting, [worker('w1', ['b'], capacity)], WIDE)?.rows.map(({ name }) => name);
    expect([names('prefetch'), names('prefetch'), names('now')]).toEqual([[2], [3], [1]]);
  });

  test('2: users take turns, however many inputs one of them has', () => {
    const flood = Array.from({ length: 1000 }, (_, n) => row(n, 10, 'a', 'flood'));
    const waiting = waitingOf([...flood, row(5000, 10, 'a', 'one')]);
    const heads: (string | undefined)[] = [];
    for (let n = 0; n < 3; n += 1) {
      heads.push(plan(waiting, [worker('w1')], { ...WIDE, maxItems: 1 })?.rows[0]?.user);
    }
    expect(heads).toEqual(['flood', 'one', 'flood']);
  });

  test('2: models of one user take turns', () => {
    const many = Array.from({ length: 5 }, (_, n) => row(n, 10, 'a', 'u'));
    const waiting = waitingOf([...many, row(10, 10, 'b', 'u')]);
    const limits = { ...WIDE, maxItems: 1 };
    const models = [1, 2, 3].map(() => plan(waiting, [worker('w1')], limits)?.model);
    expect(models).toEqual(['a', 'b', 'a']);
  });

  test('5: who has few does not wait for rows of one who has many, but runs along with them', () => {
    const many = Array.from({ length: 7 }, (_, n) => row(n, 330, 'a', 'many'));
    const waiting = waitingOf([row(10, 330, 'a', 'one'), ...many, row(11, 330, 'a', 'other')]);
    expect(plan(waiting, [worker('w1')], WIDE)?.rows.map(({ name }) => name)).toEqual([10, 11]);
    waiting.add(row(12, 330, 'a', 'one'));
    const next = plan(waiting, [worker('w1')], WIDE)?.rows.map(({ name }) => name);
    expect(next).toEqual([0, 1, 2, 3, 4, 5, 6, 12]);
  });

  test('6: rows of one key run once, for whoever has its turn, and leave all lines', () => {
    const of = (name: number, user: string) => ({ ...row(name, 10, 'a', user), key: 'same' });
    const [flooded, mine] = [of(3, 'flood'), of(4, 'one')];
    const waiting = waitingOf([row(1, 10, 'a', 'flood'), row(2, 10, 'a', 'flood'), flooded, mine]);
    const limits = { ...WIDE, maxItems: 1 };
    expect(shown(planAll(waiting, [worker('w1')], limits))).toEqual(['w1:a[1]']);
    const next = plan(waiting, [worker('w1')], limits);
    expect(next?.rows).toEqual([mine]);
    expect(next?.same.get(mine)).toEqual([flooded]);
    expect(waiting.size).toBe(1);
    waiting.restore(flooded);
    expect(plan(waiting, [worker('w1')], WIDE)?.rows).toEqual([flooded, row(2, 10, 'a', 'flood')]);
  });

  test('6: nor twice in one batch', () => {
    const rows = [1, 2, 3].map((name) => ({ ...row(name), key: name === 2 ? 'other' : 'same' }));
    const dispatch = plan(waitingOf(rows), [worker('w1')], WIDE);
    expect(dispatch?.rows.map(({ name }) => name)).toEqual([1, 2]);
    expect([...(dispatch?.same.values() ?? [])].flat()).toEqual([rows[2]]);
  });

  test('a model that is held is passed over; what was put back is first again', () => {
    const waiting = waitingOf([row(1), row(2, 10, 'b')]);
    const first = plan(waiting, [worker('w1')], WIDE);
    expect(first?.model).toBe('a');
    for (const each of first?.rows ?? []) waiting.putBack(each);
    expect(plan(waiting, [worker('w1')], WIDE, (model) => model === 'a')?.model).toBe('b');
    expect(plan(waiting, [worker('w1')], WIDE, (model) => model === 'a')).toBeUndefined();
    expect(shown(planAll(waiting, [worker('w1')], WIDE))).toEqual(['w1:a[1]']);
  });
});

describe('for any state', () => {
  const rows = fc
    .array(
      fc.record({
        model: fc.constantFrom('a', 'b', 'c'),
        user: fc.constantFrom('x', 'y', 'z'),
        size: fc.integer({ min: 1, max: 2000 }),
        alone: fc.boolean(),
      }),
      { maxLength: 60 },
    )
    .map((parts) => parts.map((part, name) => ({ ...part, name })));
  const workers = fc
    .array(
      fc.record({
        capacity: fc.constantFrom('now', 'prefetch', 'none'),
        models: fc.uniqueArray(fc.constantFrom('a', 'b', 'c')),
      }),
      { maxLength: 6 },
    )
    .map((views) =>
      views.map(({ capacity, models }, index) => ({
        id: `w${index}`,
        capacity,
        models: new Set(models),
      })),
    );
  const limits = fc.record({
    maxItems: fc.integer({ min: 1, max: 20 }),
    maxSize: fc.integer({ min: 1, max: 20_000 }),
  });

  test('the same state gives the same answer', () => {
    fc.assert(
      fc.property(rows, workers, limits, (list, views, bounds) => {
        const [one, two] = [waitingOf(list), waitingOf(list)];
        expect(shown(planAll(one, views, bounds))).toEqual(shown(planAll(two, views, bounds)));
      }),
    );
  });

  test('batches keep the limits and one model; each row runs once; no worker is idle while one waits', () => {
    fc.assert(
      fc.property(rows, workers, limits, (list, views, bounds) => {
        const waiting = waitingOf(list);
        const dispatches = planAll(waiting, views, bounds);
        const taken = dispatches.flatMap((dispatch) => dispatch.rows);
        expect(new Set(taken).size).toBe(taken.length);
        expect(waiting.size + taken.length).toBe(list.length);
        for (const { model, rows: batch } of dispatches) {
          expect(batch.length).toBeLessThanOrEqual(bounds.maxItems);
          expect(new Set(batch.map((each) => each.model))).toEqual(new Set([model]));
          if (batch.length === 1) continue;
          const sizes = batch.map(({ size }) => size);
          expect(Math.max(...sizes) * batch.length).toBeLessThanOrEqual(bounds.maxSize);
          expect(batch.some(({ alone }) => alone)).toBe(false);
          const [first = 0] = sizes.map(lengthClass);
          for (const size of sizes) expect(Math.abs(lengthClass(size) - first)).toBeLessThan(5);
        }
        const used = dispatches.map((dispatch) => dispatch.worker);
        expect(new Set(used).size).toBe(used.length);
        const idle = views.filter(({ id, capacity }) => capacity === 'now' && !used.includes(id));
        expect(Math.min(waiting.size, idle.length)).toBe(0);
        for (const { id, capacity, models } of views) {
          const own = dispatches.find((dispatch) => dispatch.worker === id);
          if (capacity === 'none') expect(own).toBeUndefined();
          if (capacity === 'prefetch' && own !== undefined)
            expect(models.has(own.model as 'a')).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('nobody starves: a newcomer runs after at most one batch of each user who waits', () => {
    const arrivals = fc.array(
      fc.array(
        fc.record({
          user: fc.integer({ min: 0, max: 6 }),
          model: fc.constantFrom('a', 'b'),
          size: fc.integer({ min: 1, max: 3000 }),
        }),
        { maxLength: 6 },
      ),
      { minLength: 30, maxLength: 60 },
    );
    fc.assert(
      fc.property(arrivals, fc.integer({ min: 0, max: 29 }), limits, (steps, at, bounds) => {
        const waiting = new WaitingRows<Row>();
        let target: Row | undefined;
        let left = Number.POSITIVE_INFINITY;
        let name = 0;
        for (const [step, comers] of steps.entries()) {
          for (const { user, model, size } of comers) {
            waiting.add(row(name, size, model, `user-${user}`));
            name += 1;
          }
          if (step === at) {
            target = row(-1, 100, 'a', 'newcomer');
            left = waiting.activeUsers + 1;
            waiting.add(target);
          }
          plan(waiting, [worker('w1')], bounds);
          if (target !== undefined && waiting.has(target)) {
            left -= 1;
            expect(left).toBeGreaterThan(0);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test('the books balance whatever comes, leaves, is taken and put back', () => {
    const steps = fc.array(
      fc.record({
        what: fc.constantFrom('add', 'add', 'plan', 'remove', 'put back'),
        user: fc.constantFrom('x', 'y', 'z'),
        model: fc.constantFrom('a', 'b'),
        pick: fc.nat(),
      }),
      { maxLength: 300 },
    );
    fc.assert(
      fc.property(steps, (list) => {
        const waiting = new WaitingRows<Row>();
        const present = new Set<Row>();
        let last: readonly Row[] = [];
        for (const [name, { what, user, model, pick }] of list.entries()) {
          const fresh = row(name, 1 + (pick % 900), model, user);
          const chosen = [...present][pick % Math.max(1, present.size)];
          if (what === 'add') {
            waiting.add(fresh);
            present.add(fresh);
          } else if (what === 'remove' && chosen !== undefined) {
            waiting.remove(chosen);
            present.delete(chosen);
          } else if (what === 'plan') {
            last = plan(waiting, [worker('w1')], { maxItems: 4, maxSize: 2000 })?.rows ?? [];
            for (const each of last) expect(present.delete(each)).toBe(true);
          } else if (what === 'put back') {
            for (const each of [...last].reverse()) waiting.putBack(each);
            for (const each of last) present.add(each);
            last = [];
          }
          expect(waiting.size).toBe(present.size);
          const users = new Set([...present].map((each) => each.user));
          expect(waiting.activeUsers).toBe(users.size);
          const sizes = [...present].filter((each) => each.model === model);
          expect(waiting.countOf(model)).toBe(sizes.length);
          expect(waiting.sizeOf(model)).toBe(sizes.reduce((sum, { size }) => sum + size, 0));
        }
        while (plan(waiting, [worker('w1')], WIDE) !== undefined);
        expect(waiting.size).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});
