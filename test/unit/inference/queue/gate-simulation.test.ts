import { describe, expect, test } from 'vitest';
import { type Load, simulate } from './gate-simulation.js';

const DEADLINE_MS = 30_000;
const quiet = () => 1;
/** A neighbour takes the CPU for 20 s, and leaves it for 20 s. */
const comingAndGoing = (ms: number) => (Math.floor(ms / 20_000) % 2 === 1 ? 2 : 1);

const load = (changes: Partial<Load>): Load => ({
  users: 128,
  deadlineMs: DEADLINE_MS,
  slowdown: quiet,
  seconds: 240,
  hasGate: true,
  ...changes,
});

describe('users who each wait for their answer', () => {
  test.each([
    [8, 'on a quiet machine', quiet],
    [32, 'on a quiet machine', quiet],
    [128, 'on a quiet machine', quiet],
    [8, 'beside a neighbour', () => 1.6],
    [32, 'beside a neighbour', () => 1.6],
    // Answers take two thirds of the deadline.
    [128, 'beside a neighbour', () => 1.6],
  ])('%i of them, %s: nobody is refused where nobody would be late', (users, _, slowdown) => {
    const without = simulate(load({ users, slowdown, hasGate: false }));
    expect(without.late).toBe(0);
    const { refused, givenUp, late, answeredMs } = simulate(load({ users, slowdown }));
    expect({ refused, givenUp, late }).toEqual({ refused: 0, givenUp: 0, late: 0 });
    expect(answeredMs.length).toBe(without.answeredMs.length);
  });

  test('128 beside a neighbour that comes and goes: hardly anybody is refused', () => {
    expect(simulate(load({ slowdown: comingAndGoing, hasGate: false })).late).toBe(0);
    const { refused, givenUp, late, answeredMs } = simulate(load({ slowdown: comingAndGoing }));
    expect({ givenUp, late }).toEqual({ givenUp: 0, late: 0 });
    expect(refused).toBeLessThan(0.01 * answeredMs.length);
  });

  test.each<readonly [string, Partial<Load>]>([
    ['128 on a machine four times as slow', { slowdown: () => 4 }],
    ['256 on one twice as slow', { users: 256, slowdown: () => 2 }],
    ['128 with a third of the time', { deadlineMs: 8000 }],
  ])('too many (%s): who is let in is answered in time, and no work is wasted', (_, changes) => {
    const without = simulate(load({ ...changes, hasGate: false }));
    expect(without.late).toBeGreaterThan(50);
    const { answeredMs, late, givenUp, refused } = simulate(load(changes));
    const accepted = answeredMs.length + late + givenUp;
    expect(late / accepted).toBeLessThanOrEqual(0.01);
    expect(givenUp / accepted).toBeLessThan(0.1);
    expect(refused).toBeGreaterThan(0);
    expect(answeredMs.length).toBeGreaterThan(0.98 * without.answeredMs.length);
    // They wait nearly as long as they may: none is refused for caution's sake.
    const typicalMs = [...answeredMs].sort((a, b) => a - b)[Math.floor(answeredMs.length / 2)] ?? 0;
    expect(typicalMs).toBeGreaterThan(0.7 * (changes.deadlineMs ?? DEADLINE_MS));
  });
});
