/** Whose turn it is, over many turns. */
import { expect, test } from 'vitest';
import {
  type BatchLimits,
  plan,
  type WorkerView,
} from '../../../../src/inference/queue/scheduler.js';
import { type WaitingRow, WaitingRows } from '../../../../src/inference/queue/waiting-rows.js';

interface Row extends WaitingRow {
  readonly name: number;
}

const ONE_AT_A_TIME: BatchLimits = { maxItems: 1, maxSize: 1_000_000 };
const WORKERS: readonly WorkerView[] = [{ id: 'w1', capacity: 'now', models: new Set() }];

/** A user of its own unless one is named. */
function row(name: number, size = 10, user = `u${name}`): Row {
  return { name, model: 'a', size, user };
}

/** The first row of each batch until nothing waits, on one worker. */
function planAllInTurn(waiting: WaitingRows<Row>): readonly number[] {
  const names: number[] = [];
  for (;;) {
    const [first] = plan(waiting, WORKERS, ONE_AT_A_TIME)?.rows ?? [];
    if (first === undefined) return names;
    names.push(first.name);
  }
}

test('nobody who comes later is put before those who wait, whatever was served before', () => {
  const waiting = new WaitingRows<Row>();
  waiting.add(row(1, 1500, 'long'));
  plan(waiting, WORKERS, ONE_AT_A_TIME);
  waiting.add(row(2, 1500, 'long'));
  const others = Array.from({ length: 50 }, (_, n) => row(10 + n));
  for (const other of others) waiting.add(other);
  expect(plan(waiting, WORKERS, ONE_AT_A_TIME)?.rows[0]?.name).toBe(2);
  const rest = planAllInTurn(waiting);
  expect(rest).toEqual(others.map(({ name }) => name));
});

test('who comes goes before one who has had its turn, but not again and again', () => {
  const waiting = new WaitingRows<Row>();
  for (let n = 0; n < 10; n += 1) waiting.add(row(n, 10, 'flood'));
  plan(waiting, WORKERS, ONE_AT_A_TIME);
  for (const name of [20, 21, 22]) waiting.add(row(name));
  expect(planAllInTurn(waiting).slice(0, 5)).toEqual([20, 1, 21, 22, 2]);
});

test('a flood has its turns, however many come one after the other', () => {
  const waiting = new WaitingRows<Row>();
  for (let n = 0; n < 10; n += 1) waiting.add(row(n, 10, 'flood'));
  const turns = Array.from({ length: 20 }, (_, n) => {
    waiting.add(row(100 + n));
    return plan(waiting, WORKERS, ONE_AT_A_TIME)?.rows[0]?.user;
  });
  expect(turns.filter((user) => user === 'flood').length).toBeGreaterThanOrEqual(4);
});

test('a turn is worth a batch: who was served more passes turns, also if it left in between', () => {
  const waiting = new WaitingRows<Row>(100);
  const served = { large: 0, small: 0 };
  // Each comes again when its only input was taken: 300 characters, or 50.
  for (const user of ['large', 'small'] as const) {
    waiting.add(row(0, user === 'large' ? 300 : 50, user));
  }
  for (let n = 0; n < 400; n += 1) {
    const taken = plan(waiting, WORKERS, ONE_AT_A_TIME)?.rows[0];
    if (taken === undefined) break;
    served[taken.user as 'large' | 'small'] += 1;
    waiting.add(taken);
  }
  // Three turns of the other for one of 300 characters, and once it lets the other go first.
  expect(served.large * 3).toBeLessThanOrEqual(served.small + 3);
  expect(served.large * 4).toBeGreaterThanOrEqual(served.small - 4);
});

test('a debt is forgotten after as many rounds, and nothing of the user is kept', () => {
  const waiting = new WaitingRows<Row>(100);
  waiting.add(row(1, 1000, 'debtor'));
  plan(waiting, WORKERS, ONE_AT_A_TIME);
  // One other user's turns are ten rounds.
  for (let n = 0; n < 11; n += 1) {
    waiting.add(row(10 + n, 10, 'other'));
    plan(waiting, WORKERS, ONE_AT_A_TIME);
  }
  waiting.add(row(2, 10, 'debtor'));
  waiting.add(row(3, 10, 'other'));
  expect(planAllInTurn(waiting)).toEqual([2, 3]);
});
