import { expect, test } from 'vitest';
import { lateRows } from '../../../../src/inference/queue/dispatched-rows.js';

const row = (user: string, size: number, isJob = false) => ({ model: 'm', user, size, isJob });

test('a row that others would make late is urgent, one that is late by itself is late', () => {
  const [first, other, job, twin] = [row('a', 10), row('b', 90), row('c', 5, true), row('d', 10)];
  const rows = [first, other, job];
  const dispatch = { worker: 'w', model: 'm', rows, same: new Map([[first, [twin]]]) };
  const within = (most: number) => (_: object, sizes: readonly number[]) =>
    sizes.reduce((sum, size) => sum + size, 0) > most;
  const late = (most: number) => lateRows({ ...dispatch, bundle: undefined }, within(most));
  expect(late(105)).toEqual({ late: [], urgent: [] });
  expect(late(95)).toEqual({ late: [], urgent: [first, twin, other] });
  expect(late(50)).toEqual({ late: [other], urgent: [first, twin] });
  expect(late(5)).toEqual({ late: [first, twin, other], urgent: [] });
});
