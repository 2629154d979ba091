import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TimeBudgets } from '../../../../src/inference/faults/time-budgets.js';

const HARD_MS = 10_000;
const work = (characters: number, size = characters) => ({ size, characters });

function learned(...known: readonly (readonly [characters: number, ms: number])[]): TimeBudgets {
  const budgets = new TimeBudgets(HARD_MS);
  for (const [characters, ms] of known) budgets.observe('m', 'd', work(characters), ms);
  return budgets;
}

describe('the budget of a batch', () => {
  test('1: is the hard limit for a model that has answered nothing, or has changed', () => {
    const hard = { budgetMs: HARD_MS, hardMs: HARD_MS };
    expect(learned().limitOf('m', 'd', work(100))).toEqual(hard);
    expect(learned([100, 5]).limitOf('m', 'other', work(100))).toEqual(hard);
    expect(learned([100, 5]).limitOf('other', 'd', work(100))).toEqual(hard);
  });

  test('2: follows from batches of that length, or of the next longer one', () => {
    const budgets = learned([200, 5], [4000, 80]);
    expect(budgets.limitOf('m', 'd', work(200)).budgetMs).toBe(1050);
    expect(budgets.limitOf('m', 'd', work(4000)).budgetMs).toBe(1800);
    expect(budgets.limitOf('m', 'd', work(1000)).budgetMs).toBe(1800);
  });

  test('3: of a longer one than any is in proportion, up to the hard limit', () => {
    const budgets = learned([1000, 10]);
    expect(budgets.limitOf('m', 'd', work(8000)).budgetMs).toBeCloseTo(1800, -2);
    expect(budgets.limitOf('m', 'd', work(4_000_000)).budgetMs).toBe(HARD_MS);
  });

  test('counts what is cut off a long text as well: it has to be tokenized', () => {
    const budgets = learned([200, 5]);
    const cut = budgets.limitOf('m', 'd', work(64_000, 200)).budgetMs;
    expect(cut).toBe(budgets.limitOf('m', 'd', work(64_000)).budgetMs);
  });

  test('is not bought by slow texts: those of others count for little', () => {
    const budgets = learned([200, 5]);
    for (let n = 0; n < 5; n += 1) budgets.observe('m', 'd', work(200), 900);
    expect(budgets.limitOf('m', 'd', work(200)).budgetMs).toBeLessThan(1200);
  });

  test('follows a model that has become slower', () => {
    const budgets = learned([200, 5]);
    for (let n = 0; n < 100; n += 1) budgets.observe('m', 'd', work(200), 500);
    expect(budgets.limitOf('m', 'd', work(200)).budgetMs).toBeGreaterThan(5000);
  });

  test('is never below a second, nor above the hard limit, and always more than what was seen', () => {
    const seen = fc.array(
      fc.tuple(fc.integer({ min: 1, max: 1e7 }), fc.double({ min: 0, max: 1e5, noNaN: true })),
    );
    fc.assert(
      fc.property(seen, fc.integer({ min: 1, max: 1e7 }), (known, characters) => {
        const { budgetMs, hardMs } = learned(...known).limitOf('m', 'd', work(characters));
        expect(hardMs).toBe(HARD_MS);
        expect(budgetMs).toBeGreaterThanOrEqual(1000);
        expect(budgetMs).toBeLessThanOrEqual(HARD_MS);
      }),
    );
  });
});
