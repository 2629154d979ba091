import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type BatchLimits,
  type Dispatch,
  plan,
  type WaitingRow,
  type WorkerView,
} from '../../../src/inference/scheduler.js';

const WIDE: BatchLimits = { maxItems: 100, maxSize: 1_000_000 };

function row(order: number, size = 10, model = 'a'): WaitingRow {
  return { model, size, order };
}

function worker(id: string, models: readonly string[] = [], idle = true): WorkerView {
  return { id, idle, models: new Set(models) };
}

/** `w1:a[1,2]` for each dispatch. */
function shown(dispatches: readonly Dispatch<WaitingRow>[]): readonly string[] {
  return dispatches.map(
    ({ worker: id, model, rows }) => `${id}:${model}[${rows.map(({ order }) => order).join(',')}]`,
  );
}

describe('rule', () => {
  const rules: readonly [
    string,
    readonly WaitingRow[],
    readonly WorkerView[],
    Partial<BatchLimits>,
    readonly string[],
  ][] = [
    ['1: nothing waits', [], [worker('w1')], {}, []],
    ['1: there is no worker', [row(1)], [], {}, []],
    ['1: no worker is idle', [row(1)], [worker('w1', ['a'], false)], {}, []],
    [
      '2: the first row decides the model',
      [row(2, 10, 'b'), row(1), row(3, 10, 'b')],
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
      [worker('w1'), worker('w2', ['a'], false)],
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
      [worker('w1'), worker('w2', [], false)],
      {},
      ['w1:a[1,2]'],
    ],
    [
      '5: those nearest in length',
      [row(1, 50), row(2, 90), row(3, 40), row(4, 55)],
      [worker('w1')],
      { maxItems: 3 },
      ['w1:a[1,4,3]'],
    ],
    [
      '5: of two as near, the earlier',
      [row(1, 50), row(3, 60), row(2, 40)],
      [worker('w1')],
      { maxItems: 2 },
      ['w1:a[1,2]'],
    ],
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
      '6: again for another model',
      [row(1), row(2, 10, 'b')],
      [worker('w1', ['b']), worker('w2', ['a'])],
      {},
      ['w2:a[1]', 'w1:b[2]'],
    ],
  ];

  test.each(rules)('%s', (_rule, waiting, workers, limits, expected) => {
    expect(shown(plan(waiting, workers, { ...WIDE, ...limits }))).toEqual(expected);
  });
});

describe('for any state', () => {
  const rows = fc
    .array(
      fc.record({ model: fc.constantFrom('a', 'b', 'c'), size: fc.integer({ min: 1, max: 200 }) }),
      {
        maxLength: 40,
      },
    )
    .chain((parts) =>
      fc
        .shuffledSubarray(
          parts.map((_, index) => index),
          { minLength: parts.length },
        )
        .map((orders) => parts.map((part, index) => ({ ...part, order: orders[index] ?? index }))),
    );
  const workers = fc
    .array(
      fc.record({ idle: fc.boolean(), models: fc.uniqueArray(fc.constantFrom('a', 'b', 'c')) }),
      {
        maxLength: 6,
      },
    )
    .map((views) =>
      views.map(({ idle, models }, index) => ({ id: `w${index}`, idle, models: new Set(models) })),
    );
  const limits = fc.record({
    maxItems: fc.integer({ min: 1, max: 20 }),
    maxSize: fc.integer({ min: 1, max: 2000 }),
  });

  function holds(
    check: (
      waiting: readonly WaitingRow[],
      views: readonly WorkerView[],
      bounds: BatchLimits,
      dispatches: readonly Dispatch<WaitingRow>[],
    ) => void,
  ): void {
    fc.assert(
      fc.property(rows, workers, limits, (waiting, views, bounds) =>
        check(waiting, views, bounds, plan(waiting, views, bounds)),
      ),
      { numRuns: 500 },
    );
  }

  test('the answer depends on the state alone, not on the order of its list, and leaves it as it is', () => {
    holds((waiting, views, bounds, dispatches) => {
      const before = structuredClone(waiting);
      expect(shown(plan([...waiting].reverse(), views, bounds))).toEqual(shown(dispatches));
      expect(waiting).toEqual(before);
    });
  });

  test('no row runs twice, is made up, or runs as another model', () => {
    holds((waiting, _views, _bounds, dispatches) => {
      const taken = dispatches.flatMap((dispatch) => dispatch.rows);
      expect(new Set(taken).size).toBe(taken.length);
      for (const each of taken) expect(waiting).toContain(each);
      for (const { model, rows: batch } of dispatches) {
        expect(batch.length).toBeGreaterThan(0);
        expect(new Set(batch.map((each) => each.model))).toEqual(new Set([model]));
      }
    });
  });

  test('a worker gets one batch at most, and only when it is idle', () => {
    holds((_waiting, views, _bounds, dispatches) => {
      const used = dispatches.map((dispatch) => dispatch.worker);
      expect(new Set(used).size).toBe(used.length);
      for (const id of used) expect(views.find((view) => view.id === id)?.idle).toBe(true);
    });
  });

  test('the limits are kept, but for a single row that is too large alone', () => {
    holds((_waiting, _views, { maxItems, maxSize }, dispatches) => {
      for (const { rows: batch } of dispatches) {
        expect(batch.length).toBeLessThanOrEqual(maxItems);
        const padded = Math.max(...batch.map(({ size }) => size)) * batch.length;
        if (batch.length > 1) expect(padded).toBeLessThanOrEqual(maxSize);
      }
    });
  });

  test('the row that came first runs whenever a worker is idle', () => {
    holds((waiting, views, _bounds, dispatches) => {
      const first = [...waiting].sort((a, b) => a.order - b.order)[0];
      const canRun = first !== undefined && views.some(({ idle }) => idle);
      expect(dispatches[0]?.rows[0]).toBe(canRun ? first : undefined);
    });
  });

  test('no worker is idle while a row waits', () => {
    holds((waiting, views, _bounds, dispatches) => {
      const left = waiting.length - dispatches.flatMap((dispatch) => dispatch.rows).length;
      const idle = views.filter((view) => view.idle).length - dispatches.length;
      expect(Math.min(left, idle)).toBe(0);
    });
  });

  test('rows of like length run together: none that is nearer to the first is left for a farther one', () => {
    holds((waiting, views, { maxItems }) => {
      const [dispatch] = plan(waiting, views, { maxItems, maxSize: Number.MAX_SAFE_INTEGER });
      const [first, ...others] = dispatch?.rows ?? [];
      if (first === undefined) return;
      const distance = (each: WaitingRow) => Math.abs(each.size - first.size);
      const farthest = Math.max(0, ...others.map(distance));
      const left = waiting.filter(
        (each) => each.model === first.model && !dispatch?.rows.includes(each),
      );
      for (const each of left) expect(distance(each)).toBeGreaterThanOrEqual(farthest);
    });
  });
});
